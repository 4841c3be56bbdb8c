"""The rejection rules on a worked table: item, scores of its judgments, what becomes of each."""

import pytest

from spct.errors import InputError
from spct.train.rft.rejection import select
from spct.types import Item, Judgment, Message, Problem

K, W, T, V, P, E = "kept", "wrong", "tied", "invalid", "partial", "too_easy"


def item(n, best=None, label=None):
    rewards = None if label is None else (float(label),)
    return Item("i", (Message("user", "?"),), tuple(f"r{i}" for i in range(n)), best=best, rewards_N=rewards)


def judgment(scores, index=0, n=None):
    """``scores`` are in item order; None is an invalid one, and a list of fewer than n scores saw a part only."""
    order = tuple(range(len(scores) if scores else n or 2))
    problem = None if scores else Problem("no_box", "no box")
    return Judgment(index, order, 7 + index, "text", "stop", None if scores is None else tuple(scores), problem)


TABLE = [
    # item, the plain judgments' scores, their fates, the hinted one's scores, its fate
    (item(2, best=0), [[9, 3], [4, 4], [2, 8]], [K, T, W], [8, 1], K),
    (item(2, best=0), [[9, 3], [8, 7], [10, 1]], [E, E, E], [8, 1], K),
    (item(2, best=1), [[9, 3], [3, 9], None], [W, K, V], [5, 5], T),
    (item(2, best=1), [[3, 9], [1, 2], None], [K, K, V], None, V),
    (item(4, best=2), [[1, 5, 6, 5], [6, 1, 6, 1], [9, 1, 8, 1]], [K, T, W], [1, 1, 2, 1], K),
    (item(3, best=2), [[1, 2, 3], [1, 3, 3], [1, 2]], [K, T, P], [2, 1, 1], W),
    (item(1, label=1), [[1], [0], None], [K, W, V], [1], K),
    (item(1, label=0), [[0], [0], [0]], [E, E, E], [0], K),
    (item(1, label=0), [[0], [1], [0]], [K, W, K], [1], W),
]


@pytest.mark.parametrize(("given", "plain", "fates", "hinted", "fate"), TABLE)
def test_every_judgment_meets_its_fate(given, plain, fates, hinted, fate):
    n = len(given.responses)
    sampled = [judgment(scores, i, n) for i, scores in enumerate(plain)]
    selection = select(given, sampled, [judgment(hinted, 0, n)], n_rft=3)
    assert [found for _, found in selection.plain] == fates
    assert [found for _, found in selection.hinted] == [fate]
    assert selection.too_easy == (E in fates)
    kept = [(i, False) for i, found in enumerate(fates) if found == K] + ([(0, True)] if fate == K else [])
    assert [(found.index, with_hint) for found, with_hint in selection.kept] == kept
    assert selection.counts(hinted=False).total() == 3


@pytest.mark.parametrize(("given", "plain", "fates", "hinted", "fate"), TABLE)
def test_without_rejection_all_that_score_every_response_are_learned_and_counted_as_before(
    given, plain, fates, hinted, fate
):
    sampled = [judgment(scores, i, len(given.responses)) for i, scores in enumerate(plain)]
    selection = select(given, sampled, [judgment(hinted, 0, len(given.responses))], n_rft=3, rejection=False)
    assert [found for _, found in selection.plain] == fates
    kept = [(i, False) for i, found in enumerate(fates) if found not in (V, P)] + ([(0, True)] if fate != V else [])
    assert [(found.index, with_hint) for found, with_hint in selection.kept] == kept


def test_an_item_whose_requests_failed_half_way_is_not_too_easy():
    selection = select(item(2, best=0), [judgment([9, 1]), judgment([8, 1], 1)], [], n_rft=3)
    assert [fate for _, fate in selection.plain] == [K, K]


def test_without_ground_truth_there_is_nothing_to_select_by():
    with pytest.raises(InputError, match="no ground truth"):
        select(item(2), [judgment([9, 1])], [], n_rft=1)
