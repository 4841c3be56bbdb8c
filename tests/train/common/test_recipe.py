from pathlib import Path

import pytest

from spct.errors import InputError
from spct.recipe import load_recipe, parse_recipe
from spct.train.baselines.recipe import BaselineRecipe
from spct.train.meta.recipe import MetaRecipe
from spct.train.sft.recipe import SftRecipe

GOOD = {"model": "m", "trajectories": "t.jsonl"}


def test_defaults_are_the_papers():
    recipe = parse_recipe(SftRecipe, GOOD)
    assert (recipe.learning_rate, recipe.batch, recipe.steps_for(10_000_000), recipe.general) == (5e-6, 1024, 900, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lerning_rate": 1}, "unknown key 'lerning_rate'; did you mean 'learning_rate'?"),
        ({"lora": {"rnk": 4}}, "unknown key 'lora.rnk'; did you mean 'rank'?"),
        ({"general": {"path": "g", "shre": 0.5}}, "unknown key 'general.shre'; did you mean 'share'?"),
        ({"general": {"path": "g", "share": 0.5, "xyz": 1}}, "unknown key 'general.xyz'; expected one of path, share"),
        ({"general": {"path": "g", "share": 1.5}}, "general.share: input should be less than 1, got '1.5'"),
        ({"batch": 10, "micro_batch": 4}, "batch is 10 and micro_batch 4; expected a multiple of it"),
        ({"steps": 3, "epochs": 1}, "steps and epochs are both there"),
        ({"sampled": False, "hinted": False}, "sampled and hinted are both false"),
        ({"model": ""}, "model: string should have at least 1 character"),
        ({"learning_rate": 0}, "learning_rate: input should be greater than 0, got '0'"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_key(change, said):
    with pytest.raises(InputError) as error:
        parse_recipe(SftRecipe, GOOD | change, "r.yaml")
    assert str(error.value).startswith(f"r.yaml: {said}")
    assert "\n" not in str(error.value)


def test_the_length_is_given_in_steps_or_in_epochs():
    sft = [parse_recipe(SftRecipe, GOOD | more).steps_for(3000) for more in ({}, {"steps": 7}, {"epochs": 2})]
    assert sft == [900, 7, 6]
    runs = {"model": "m", "runs": "r"}
    meta = [parse_recipe(MetaRecipe, runs | more).steps_for(1000) for more in ({}, {"steps": 7}, {"epochs": 1})]
    assert meta == [6, 7, 2]  # three epochs of 512 a step
    pairs = {"model": "m", "data": "d", "batch": 2}
    assert [parse_recipe(BaselineRecipe, pairs | more).steps_for(5) for more in ({}, {"epochs": 2})] == [3, 5]


def test_a_batch_is_shared_out_evenly_or_not_at_all():
    recipe = parse_recipe(SftRecipe, GOOD | {"batch": 12, "micro_batch": 2})
    assert [recipe.accumulation(n) for n in (1, 2, 3)] == [6, 3, 2]
    with pytest.raises(InputError, match="expected a multiple of 8"):
        recipe.accumulation(4)


def test_the_shipped_recipe_is_the_one_that_the_guide_shows():
    root = Path(__file__).parents[3]
    text = (root / "examples" / "recipes" / "sft.yaml").read_text()
    recipe = load_recipe(SftRecipe, root / "examples" / "recipes" / "sft.yaml", {})
    assert recipe.general is not None and recipe.general.share == 0.5
    assert text.split("\n", 1)[1] in (root / "docs" / "training.md").read_text()
