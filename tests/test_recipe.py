"""Recipes are read and checked key by key; a mistake is one sentence."""

from pathlib import Path

import pytest

from spct.errors import InputError
from spct.recipe import OneOrMore, Strict, flag_values, load_recipe, parse_recipe


class Part(Strict):
    rank: int = 16
    alpha: int = 32


class Whole(Strict):
    model: str
    files: OneOrMore[Path] = ()
    batch: int = 4
    on_long: str = "stop"
    part: Part | None = None
    parts: tuple[Part, ...] = ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"modle": 1}, "unknown key 'modle'; did you mean 'model'?"),
        ({"zzz": 1}, "unknown key 'zzz'; expected one of model, files, batch, on_long, part, parts"),
        ({"part": {"rnk": 4}}, "unknown key 'part.rnk'; did you mean 'rank'?"),
        ({"parts": [{}, {"alhpa": 4}]}, "unknown key 'parts.1.alhpa'; did you mean 'alpha'?"),
        ({"model": None}, "model: input should be a valid string, got 'None'"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_key(change, said):
    with pytest.raises(InputError) as error:
        parse_recipe(Whole, {"model": "m"} | change, "r.yaml")
    assert str(error.value) == f"r.yaml: {said}"


def test_what_is_missing_and_what_is_no_mapping_is_said():
    with pytest.raises(InputError, match="^recipe: model: field required$"):
        parse_recipe(Whole, {})
    with pytest.raises(InputError, match="^the options: model: field required$"):
        load_recipe(Whole, None)
    with pytest.raises(InputError, match="^recipe: got list; expected keys such as model, files, batch$"):
        parse_recipe(Whole, [])


def test_a_single_path_stands_for_a_list_of_one():
    assert parse_recipe(Whole, {"model": "m", "files": "a"}).files == (Path("a"),)
    assert parse_recipe(Whole, {"model": "m", "files": ["a", "b"]}).files == (Path("a"), Path("b"))


def test_flags_go_over_the_file_and_reach_into_it(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("model: m\nbatch: 8\npart: {rank: 4, alpha: 8}\n")
    found = load_recipe(Whole, path, flag_values({"batch": 16, "model": None}, ("part.rank=2", "on-long=drop")))
    assert (found.model, found.batch, found.on_long, found.part) == ("m", 16, "drop", Part(rank=2, alpha=8))


@pytest.mark.parametrize("text", ["- a\n- b\n", "model: [", "\x00"])
def test_a_file_that_is_no_recipe_is_one_error(tmp_path, text):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"r\.yaml: "):
        load_recipe(Whole, path)


def test_flags_that_are_none_and_files_that_are_not_there_are_one_error_each(tmp_path):
    with pytest.raises(InputError, match="cannot be read as a recipe"):
        load_recipe(Whole, tmp_path / "none.yaml")
    with pytest.raises(InputError, match="expected NAME=VALUE"):
        flag_values({}, ("part.rank",))
    with pytest.raises(InputError, match=r"--set 'part=\{a': '\{a' is no YAML: while parsing"):
        flag_values({}, ("part={a",))
