import itertools
from collections import Counter

import pytest

from spct.voting.orders import balanced_square, sample_seed, slots


@pytest.mark.parametrize("n", range(1, 12))
def test_square_is_latin(n):
    square = balanced_square(n)
    assert len(square) == n
    assert all(sorted(row) == list(range(n)) for row in square)
    assert all(sorted(column) == list(range(n)) for column in zip(*square, strict=True))


@pytest.mark.parametrize("n", [2, 4, 6, 8])
def test_even_square_is_balanced_for_neighbours(n):
    pairs = [pair for row in balanced_square(n) for pair in itertools.pairwise(row)]
    assert len(set(pairs)) == len(pairs) == n * (n - 1)


@pytest.mark.parametrize("n", [2, 3, 4, 7])
@pytest.mark.parametrize("k", [1, 2, 5, 8, 14])
def test_any_k_is_as_balanced_as_it_can_be(n, k):
    orders = [slot.order for slot in slots(n, k, seed=0, key="item")]
    for place in range(n):
        seen = [sum(order[place] == response for order in orders) for response in range(n)]
        assert max(seen) - min(seen) <= 1


def test_raising_k_extends_the_plan():
    assert slots(4, 16, seed=3, key="x")[:8] == slots(4, 8, seed=3, key="x")


def test_plan_depends_on_seed_and_item():
    plans = {tuple(s.order for s in slots(5, 5, seed=seed, key=key)) for seed in range(5) for key in "abcde"}
    assert len(plans) > 20


def test_samples_of_one_prompt_have_consecutive_ordinals():
    for ordering in ("balanced", "random", "fixed"):
        plan = slots(3, 8, seed=0, key="x", ordering=ordering)
        for row in {slot.row for slot in plan}:
            mine = [slot for slot in plan if slot.row == row]
            assert [slot.ordinal for slot in mine] == list(range(len(mine)))
            assert len({slot.order for slot in mine}) == 1


def test_seeds_of_an_item_never_collide():
    seeds = {sample_seed(2**31 - 5, row, attempt, j) for row in range(8) for attempt in range(4) for j in range(64)}
    assert len(seeds) == 8 * 4 * 64
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert sample_seed(7, 2, 1, 5) == 7 + 2 * 65536 + 4096 + 5


def test_random_orders_are_shuffles_and_fixed_is_not():
    assert len({slot.order for slot in slots(6, 30, seed=0, key="x", ordering="random")}) > 20
    assert {slot.order for slot in slots(6, 9, seed=0, key="x", ordering="fixed")} == {(0, 1, 2, 3, 4, 5)}


def test_which_row_of_the_square_comes_first_is_drawn_for_each_item():
    """Without the draw, who is first in judgment 1 would always have been third in judgment 0."""
    places = Counter()
    for item in range(600):
        first, second = (slot.order for slot in slots(4, 2, seed=0, key=f"item {item}"))
        places[first.index(second[0])] += 1
    assert set(places) == {1, 2, 3}
    assert all(150 < count < 250 for count in places.values())


def test_every_order_of_the_responses_comes_first_for_some_item():
    firsts = {slots(4, 1, seed=0, key=f"item {item}")[0].order for item in range(400)}
    assert len(firsts) == 24
