import itertools
import math
from collections import Counter
from fractions import Fraction

import pytest

from spct.bench.scoring.subsets import is_dealt, orders_dealt, picks
from spct.bench.suites import Ballot


def shown(*orders):
    return [Ballot((1.0,) * len(order), order) for order in orders]


@pytest.mark.parametrize(("size", "k"), [(5, 2), (8, 3), (4, 4), (6, 1)])
def test_one_order_gives_plain_subsets(size, k):
    found = picks(size, 1, k, 1000)
    assert [pick.indices for pick in found] == list(itertools.combinations(range(size), k))
    assert {pick.weight for pick in found} == {1 / math.comb(size, k)}


def test_two_orders_are_dealt_evenly():
    found = picks(4, 2, 2, 1000)
    assert sorted(pick.indices for pick in found) == [(0, 1), (0, 3), (1, 2), (2, 3)]
    assert {pick.weight for pick in found} == {0.25}


def test_an_odd_k_gives_either_order_the_extra_sample():
    found = picks(4, 2, 3, 1000)
    assert sorted(pick.indices for pick in found) == [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]


def test_orders_with_unequal_counts_still_weigh_the_same():
    weights = {pick.indices: pick.weight for pick in picks(3, 2, 1, 1000)}
    assert weights == {(0,): 0.25, (2,): 0.25, (1,): 0.5}


@pytest.mark.parametrize("shape", [(7, 3, 4), (8, 4, 5), (5, 5, 2), (9, 2, 4), (10, 4, 3), (5, 3, 4), (8, 3, 7)])
def test_weights_add_up_and_every_pick_is_even(shape):
    size, groups, k = shape
    found = picks(size, groups, k, 10**6)
    assert math.isclose(sum(pick.weight for pick in found), 1)
    assert len({pick.indices for pick in found}) == len(found)
    for pick in found:
        counts = Counter(i % groups for i in pick.indices)
        assert len(pick.indices) == k
        assert max(counts.values()) - min(counts[g] for g in range(groups)) <= 1


def test_picks_are_drawn_where_they_are_many():
    found = picks(32, 2, 8, 50, seed=3)
    assert len(found) == 50
    assert {pick.weight for pick in found} == {1 / 50}
    assert all(Counter(i % 2 for i in pick.indices) == {0: 4, 1: 4} for pick in found)
    assert found == picks(32, 2, 8, 50, seed=3)
    assert found != picks(32, 2, 8, 50, seed=4)


def test_an_order_without_samples_to_spare_is_never_drawn_for_the_extra_one():
    found = picks(5, 3, 4, 200, drawn=True)  # samples 0 and 3, 1 and 4, and 2 alone
    assert {pick.indices for pick in found} == {(0, 1, 2, 3), (0, 1, 2, 4), (0, 2, 3, 4), (1, 2, 3, 4)}


def test_all_samples_are_one_pick_or_as_many_equal_draws():
    assert [pick.indices for pick in picks(3, 1, 5, 10)] == [(0, 1, 2)]
    assert [pick.indices for pick in picks(2, 1, 2, 3, drawn=True)] == [(0, 1)] * 3


def test_the_average_over_picks_is_the_chance_under_a_fresh_plan():
    """Of four samples in two orders, a vote over one: the first order is right 2 of 2 times, the second 0 of 2."""
    right = [1, 0, 1, 0, 1]
    mean = sum(Fraction(pick.weight) * sum(right[i] for i in pick.indices) for pick in picks(5, 2, 1, 100))
    assert float(mean) == 0.5


def test_round_robin_orders_are_recognised():
    a, b = (0, 1), (1, 0)
    assert orders_dealt(shown(a, b, a, b)) == 2
    assert orders_dealt(shown(a, a, a)) == 1
    assert orders_dealt(shown(a, b, b, a)) is None
    assert orders_dealt([*shown(a), Ballot(None, ()), *shown(a, b)]) == 2
    assert orders_dealt([]) == 1


def test_a_run_is_dealt_if_nearly_all_items_are():
    a, b = (0, 1), (1, 0)
    dealt, shuffled = shown(a, b, a, b), shown(a, b, b, a)
    assert is_dealt({str(i): dealt if i else shuffled for i in range(10)})
    assert not is_dealt({"1": dealt, "2": shuffled})
