"""The stop rule: what settles, what never does, and its independence of the order of finished samples."""

from __future__ import annotations

from itertools import permutations

import pytest

from spct.errors import InputError
from spct.voting.adaptive import DEFAULT_LEVEL, settled
from spct.voting.confidence import lead_chance


def test_a_wide_margin_settles_at_the_first_look_and_a_narrow_one_does_not() -> None:
    assert not settled([(9, 3)], 8, level=0.01)
    assert settled([(9, 3)] * 2, 8)
    assert not settled([(7, 6)] * 2, 8, level=0.99)


def test_a_noisy_judge_is_settled_later() -> None:
    assert settled([(8, 6)] * 2, 8, noise=0.2)
    assert not settled([(8, 6)] * 2, 8, noise=3.0)
    assert settled([(8, 6)] * 6, 8, noise=3.0)


def test_it_is_the_chance_at_k_max_against_the_level() -> None:
    rows = [(8, 6, 5), (7, 6, 6)]
    chance = lead_chance(rows, 0, 6)
    assert chance is not None
    assert settled(rows, 8, level=chance - 1e-9)
    assert not settled(rows, 8, level=chance + 1e-9)


def test_the_nearer_k_max_the_sooner() -> None:
    rows = [(8, 7), (7, 7), (8, 7), (7, 7)]
    assert not settled(rows, 32)
    assert settled(rows, 5)


def test_ties_and_single_responses_go_to_k_max() -> None:
    assert not settled([(7, 7, 3)] * 7, 8)
    assert settled([(7, 7, 3)] * 8, 8)
    assert not settled([(9,)] * 7, 8)
    assert settled([(9,)] * 8, 8)


def test_nothing_sampled_settles_nothing() -> None:
    assert not settled([], 8)


def test_the_order_in_which_samples_finish_does_not_matter() -> None:
    rows = [(8, 6), (7, 7), (9, 6), (6, 7)]
    assert len({settled(list(order), 8) for order in permutations(rows)}) == 1


def test_a_leader_never_compared_with_a_rival_is_not_settled() -> None:
    assert not settled([(9, None, 2), (None, 3, 2)], 8)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, -0.5])
def test_a_level_that_is_no_chance_is_refused(level: float) -> None:
    with pytest.raises(InputError, match=f"expected a chance between 0 and 1, such as {DEFAULT_LEVEL}"):
        settled([(9, 3)], 8, level)
