"""The real files beside the checkout, through the shipped recipe: exact counts, and what must hold of the result."""

import os
from pathlib import Path

import pytest

from spct.data.build import build
from spct.data.group import Group
from spct.data.inputs import open_source
from spct.data.recipe import DataRecipe, SourceRecipe
from spct.items import read_items
from spct.recipe import load_recipe

from .rows import lines, real

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The report and the directory of the shipped recipe's build; skips where the files are not there."""
    real("train")
    real("bench")
    out = tmp_path_factory.mktemp("data")
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        return build(load_recipe(DataRecipe, Path("examples/recipes/data.yaml")), out).as_row(), out
    finally:
        os.chdir(before)


def test_sources(made):
    found = {
        name: (counts["rows"], counts["overlapping_rows"], counts["usable"])
        for name, counts in made[0]["sources"].items()
    }
    assert found == {
        "rmb": (4385, 39, {"single": 0, "pair": 5660, "multi": 1831}),
        "gsm8k": (1319, 1, {"single": 5264, "pair": 2426, "multi": 290}),
        "hh-harmless": (2312, 10, {"single": 0, "pair": 2298, "multi": 0}),
        "hh-helpful": (1137, 15, {"single": 0, "pair": 1109, "multi": 0}),
        "finegrained": (500, 0, {"single": 0, "pair": 2616, "multi": 396}),
    }


def test_forms_and_splits(made):
    splits = made[0]["splits"]
    total = {form: sum(split["forms"][form] for split in splits.values()) for form in ("single", "pair", "multi")}
    assert total == {"single": 2400, "pair": 4000, "multi": 1600}
    assert {name: split["items"] for name, split in splits.items()} == {"train": 7585, "heldout": 415}


def test_items_are_whole_and_no_conversation_is_in_both_splits(made):
    _, out = made
    items = {name: list(read_items(out / f"{name}.jsonl")) for name in ("train", "heldout")}
    conversations = {name: {item.extra["conversation"] for item in found} for name, found in items.items()}
    assert not conversations["train"] & conversations["heldout"]
    for item in [*items["train"], *items["heldout"]]:
        n = len(item.responses)
        assert all(text.strip() for text in item.responses)
        assert (item.best is None) == (n == 1)
        assert {1: "single", 2: "pair"}.get(n, "multi") == item.extra["form"]
        assert n > 1 or item.rewards_N in ((0.0,), (1.0,))


def test_the_rmb_pairs_of_a_set_stay_with_the_set(made):
    """The trap of RMB: every pair of a best-of-n set is also in the pairwise files."""
    _, out = made
    splits = {}
    for name in ("train", "heldout"):
        for row in lines(out / f"{name}.jsonl"):
            splits.setdefault(row["messages"][0]["content"], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())


def test_the_rule_agrees_with_every_label_of_the_gsm8k_file():
    source = open_source(SourceRecipe(kind="gsm8k", path=real("train", "gsm8k")))
    found = [read.found for read in source.groups()]
    groups = [group for group in found if isinstance(group, Group)]
    assert len(groups) == len(found) == 1319  # a label that the check contradicts would be a Dropped beside them
    assert sum(sum(group.rewards_N) for group in groups) == 2001
    assert sum(len(group.wins) for group in groups) == 2429
