from collections import Counter

import pytest

from bench.runs import pair
from spct.bench.selection import selected
from spct.bench.suites.llmbar import LLMBar
from spct.errors import InputError

SIZES = {"Natural": 60, "Manual": 30, "GPTOut": 10}


@pytest.fixture
def loaded():
    return LLMBar().assemble([pair(f"{name}/{i}", subset=name) for name, size in SIZES.items() for i in range(size)])


def test_a_limit_keeps_the_proportions(loaded):
    found = selected(LLMBar(), loaded, limit=20)
    assert Counter(unit.subset for unit in found.units) == {"Natural": 12, "Manual": 6, "GPTOut": 2}
    assert "Natural (12 of 100)" in found.missing
    assert list(found.items) == [id for id in loaded.items if id in found.items]


def test_a_limit_is_seeded(loaded):
    again, other = selected(LLMBar(), loaded, limit=20), selected(LLMBar(), loaded, limit=20, seed=1)
    assert selected(LLMBar(), loaded, limit=20).data_hash == again.data_hash != other.data_hash


def test_every_subset_keeps_a_prompt(loaded):
    assert Counter(u.subset for u in selected(LLMBar(), loaded, limit=1).units) == dict.fromkeys(SIZES, 1)


def test_units_of_a_prompt_stay_together():
    items = [pair(f"Natural/{i}", query=f"prompt {i // 4}") for i in range(40)]
    found = selected(LLMBar(), LLMBar().assemble(items), limit=8)
    assert sorted(Counter(unit.cluster for unit in found.units).values()) == [4, 4]


def test_subsets_by_name(loaded):
    found = selected(LLMBar(), loaded, subsets=["Manual"])
    assert {unit.subset for unit in found.units} == {"Manual"}
    with pytest.raises(InputError, match="Manuel.*Manual"):
        selected(LLMBar(), loaded, subsets=["Manuel"])


def test_everything_is_the_data_themselves(loaded):
    assert selected(LLMBar(), loaded, limit=100) is loaded
