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
    with pytest.raises(InputError, match=r"r\.yaml(, line 1)?: "):
        load_recipe(Whole, path)


def test_flags_that_are_none_and_files_that_are_not_there_are_one_error_each(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_recipe(Whole, tmp_path / "none.yaml")
    with pytest.raises(InputError, match="expected NAME=VALUE"):
        flag_values({}, ("part.rank",))
    with pytest.raises(InputError, match=r"--set 'part=\{a': '\{a' is no YAML: while parsing"):
        flag_values({}, ("part={a",))


def bomb(depth: int) -> str:
    """``depth`` lists, each of ten times the one before it."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, depth)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (bomb(9), "r.yaml: more than 50,000 keys and values, aliases written out"),
        ("model: m\nparts: &p\n  - *p\n", "r.yaml, line 2: an alias stands inside of what it names"),
        ("model: m\npart: &p {rank: *p}\n", "r.yaml, line 2: an alias stands inside of what it names"),
        ("model: " + "[" * 1000, "it is nested too deeply"),
        ("model: m\nbatch: 8\nmodel: n\n", "r.yaml, line 3: the key 'model' is there twice"),
        ("model: m\npart: {rank: 1, rank: 2}\n", "r.yaml, line 2: the key 'rank' is there twice"),
        ("model: m\nbatch: " + "9" * 19, "r.yaml, line 2: got a number of 19 digits; expected at most 18"),
        ("model: m\nbatch: " + "9" * 5000, "line 2: got a number of 5000 digits"),
        ('model: "a\\ud800"', "r.yaml, line 1: got half a character (a lone surrogate) in 'a\\ud800'"),
        ("model: 2024-99-99", "r.yaml: not YAML: month must be in 1..12"),
        ("model: !!python/object/apply:os.getcwd []", "line 1: not YAML: could not determine a constructor"),
        ("model: m\n---\nmodel: n", "line 2: not YAML: but found another document"),
        ("? [a]\n: 1\n", "line 1: not YAML: found unhashable key"),
        ("#" * (1 << 20) + "#", "r.yaml: longer than 1,048,576 bytes"),
        ("parts: 5\nmodel: m", "r.yaml: parts: expected a list, got '5'"),
        ("part: 5\nmodel: m", "r.yaml: part: expected keys and values, got '5'"),
        ("modle: m", "r.yaml: unknown key 'modle'; did you mean 'model'?"),
    ],
    ids=lambda value: value[:24].strip(),
)
def test_a_hostile_file_is_one_error(text, said, tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_recipe(Whole, path)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_what_cannot_be_opened_is_one_error(tmp_path):
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"model: \xe9")
    for path, said in [
        (tmp_path, "Is a directory"),
        (tmp_path / "loop.yaml", "symbolic links"),
        (tmp_path / "latin.yaml", "can't decode byte 0xe9"),
        (Path("a\0b"), "null byte"),
        (Path("/dev/zero"), "longer than 1,048,576 bytes"),
    ]:
        with pytest.raises(InputError, match=said):
            load_recipe(Whole, path)


def test_aliases_and_merged_keys_that_end_are_taken(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("\ufeffmodel: m\nparts:\n  - &p {rank: 4}\n  - *p\n  - {<<: *p, alpha: 8}\n")
    assert load_recipe(Whole, path).parts == (Part(rank=4), Part(rank=4), Part(rank=4, alpha=8))
