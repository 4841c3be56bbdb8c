import itertools
import math
from collections import Counter
from fractions import Fraction

import pytest

from spct.bench.scoring.subsets import is_dealt, orders_dealt, picked_together, picks
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
    found = picks(5, 3, 4, 0, draws=200)  # samples 0 and 3, 1 and 4, and 2 alone
    assert {pick.indices for pick in found} == {(0, 1, 2, 3), (0, 1, 2, 4), (0, 2, 3, 4), (1, 2, 3, 4)}


def test_all_samples_are_one_pick():
    assert [pick.indices for pick in picks(3, 1, 5, 10)] == [(0, 1, 2)]


def indices(picked, shape):
    return [pick.indices for pick in picked.rows[shape]]


def test_an_item_that_stopped_early_stands_beside_all_picks_of_the_others():
    found = picked_together(frozenset([(2, 1), (4, 1)]), 3, limit=4, draws=2)
    assert found.exact
    assert indices(found, (2, 1)) == [(0, 1)] * 4
    assert indices(found, (4, 1)) == list(itertools.combinations(range(4), 3))
    weighted = picked_together(frozenset([(1, 1), (3, 2)]), 1, limit=4, draws=2)
    assert [pick.weight for pick in weighted.rows[3, 2]] == [0.25, 0.25, 0.5]
    assert [pick.weight for pick in weighted.rows[1, 1]] == [0.25, 0.25, 0.5]


def test_two_shapes_have_all_their_picks_in_as_many_rows():
    """Three samples and two: six rows hold each of the picks of one equally often."""
    found = picked_together(frozenset([(3, 1), (2, 1)]), 1, limit=6, draws=4)
    assert found.exact
    assert Counter(indices(found, (3, 1))) == {(0,): 2, (1,): 2, (2,): 2}
    assert Counter(indices(found, (2, 1))) == {(0,): 3, (1,): 3}
    assert {pick.weight for row in found.rows.values() for pick in row} == {1 / 6}


def test_shapes_with_too_many_rows_together_are_drawn():
    found = picked_together(frozenset([(3, 1), (2, 1)]), 1, limit=5, draws=4)
    assert not found.exact
    assert {len(row) for row in found.rows.values()} == {4}
    assert not picked_together(frozenset([(20, 1)]), 10, limit=500, draws=16).exact


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
