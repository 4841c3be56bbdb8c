from pathlib import Path

import pytest

from spct.data.recipe import DataRecipe
from spct.errors import InputError
from spct.recipe import load_recipe, parse_recipe

SOURCE = {"kind": "rmb", "path": "rmb"}


def test_defaults():
    recipe = parse_recipe(DataRecipe, {"sources": [SOURCE]})
    assert recipe.split == {"train": 0.95, "heldout": 0.05}
    assert (recipe.seed, recipe.size, recipe.forms, recipe.contamination.words) == (0, None, None, 8)
    (source,) = recipe.sources
    assert (source.label, source.forms, source.reference, source.on_bad) == (
        "rmb",
        ("single", "pair", "multi"),
        False,
        "stop",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sead": 1}, "unknown key 'sead'; did you mean 'seed'?"),
        ({"zzz": 1}, "unknown key 'zzz'; expected one of sources, size, forms"),
        ({"sources": [SOURCE | {"shares": 0.5}]}, r"unknown key 'sources.0.shares'; did you mean 'share'\?"),
        ({"contamination": {"benchmark": []}}, "unknown key 'contamination.benchmark'; did you mean 'benchmarks'?"),
        (
            {"contamination": {"benchmarks": [{"name": "rmb", "path": "x", "pth": "y"}]}},
            "unknown key 'contamination.benchmarks.0.pth'; did you mean 'path'?",
        ),
        ({"forms": {"pairs": 1.0}}, "forms.pairs.*'single', 'pair' or 'multi'"),
        ({"forms": {"pair": 0.5}}, "forms: the shares add up to 0.5; expected 1"),
        ({"split": {"train": 1.5, "heldout": -0.5}}, "split: heldout is -0.5; expected 0 or more"),
        ({"split": {"../x": 1.0}}, "split: got the name '../x'; expected letters"),
        ({"sources": [SOURCE, SOURCE]}, "sources: 'rmb' is there twice; give one of them a name"),
        ({"sources": [{"kind": "rmb"}]}, "sources.0: expected exactly one of path and hub"),
        ({"sources": [SOURCE | {"hub": True}]}, "sources.0: expected exactly one of path and hub"),
        ({"sources": [SOURCE | {"share": 0.5, "count": 3}]}, "sources.0: expected at most one of share and count"),
        ({"sources": [SOURCE | {"share": 1.5}]}, "sources.0.share: input should be less than or equal to 1, got '1.5'"),
        ({"sources": [SOURCE | {"on_bad": "skip"}]}, "sources.0.on_bad: .*got 'skip'"),
        ({"sources": []}, "sources: "),
        ({"sources": [SOURCE | {"share": 0.7}, SOURCE | {"name": "b", "share": 0.7}]}, "the shares add up to 1.4"),
        ({"sources": [SOURCE | {"share": 0.7}]}, "sources: every one has a share and they add up to 0.7; expected 1"),
        ({"size": 0}, "size: .*got '0'"),
    ],
)
def test_each_mistake_is_one_sentence_that_names_the_key(change, message):
    with pytest.raises(InputError, match=message) as error:
        parse_recipe(DataRecipe, {"sources": [SOURCE]} | change, "data.yaml")
    assert str(error.value).startswith("data.yaml: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("sources: [", "not YAML"), ("- a", "got list; expected keys"), ("", "got NoneType; expected keys")],
)
def test_files_that_hold_no_recipe(tmp_path, text, message):
    path = tmp_path / "data.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_recipe(DataRecipe, path)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_recipe(DataRecipe, tmp_path / "none.yaml")


def test_the_shipped_recipe_is_one():
    recipe = load_recipe(DataRecipe, Path(__file__).parents[2] / "examples" / "recipes" / "data.yaml")
    assert [source.label for source in recipe.sources] == ["rmb", "gsm8k", "hh-harmless", "hh-helpful", "finegrained"]
