import math
import random

import pytest

from spct.errors import InputError, NoVerdictError
from spct.service.rewards import Rewards, rewards_of
from spct.types import ItemError, Judgment, Problem
from spct.voting.guided import decide_guided
from spct.voting.ratings import Rating
from spct.voting.vote import decide

SCALE = (1, 10)


def judgments(*rows, expected=None):
    n = len(rows[0])
    return [
        Judgment(i, tuple(range(n)), i, f"text {i}", "stop", tuple(row), expected=expected and expected[i])
        for i, row in enumerate(rows)
    ]


def verdict(*rows, **more):
    return decide(judgments(*rows), id="a", n=len(rows[0]), k=len(rows), **more)


def test_the_papers_worked_example():
    of_paper = verdict((1, 5), (5, 6), (4, 8), (7, 6))
    assert rewards_of(of_paper, "total", SCALE) == Rewards("total", (17, 25), (4, 40))
    assert rewards_of(of_paper, "mean", SCALE) == Rewards("mean", (4.25, 6.25), (1, 10))
    assert rewards_of(of_paper, "unit", SCALE) == Rewards("unit", (3.25 / 9, 5.25 / 9), (0, 1))
    assert rewards_of(of_paper, "centred", SCALE) == Rewards("centred", (-1, 1), (-9, 9))
    assert rewards_of(of_paper, "rank", SCALE) == Rewards("rank", (0, 1), (0, 1))
    assert rewards_of(of_paper, "win_rate", SCALE) == Rewards("win_rate", (0.25, 0.75), (0, 1))


def test_ties_count_half():
    tied = verdict((5, 5, 9), (7, 5, 9))
    assert rewards_of(tied, "rank", SCALE).values == (0.5, 0, 1)
    assert rewards_of(tied, "win_rate", SCALE).values == (1.5 / 4, 0.5 / 4, 1)
    level = verdict((5, 5, 5))
    assert rewards_of(level, "rank", SCALE).values == rewards_of(level, "win_rate", SCALE).values == (0.5, 0.5, 0.5)


def test_invalid_judgments_count_for_nothing():
    broken = Judgment(1, (0, 1), 9, "", "stop", None, Problem("empty", "nothing"))
    found = decide([*judgments((2, 4)), broken], id="a", n=2, k=2)
    assert rewards_of(found, "total", SCALE) == Rewards("total", (2, 4), (1, 10))
    assert rewards_of(found, "win_rate", SCALE).values == (0, 1)


def test_copies_are_members():
    assert rewards_of(verdict((9, 5)), "centred", SCALE, (7, 1)).values == (0.5, -3.5)
    assert rewards_of(verdict((9, 5)), "rank", SCALE, (3, 1)).values == ((1 + 2 * 0.5) / 3, 0)
    assert rewards_of(verdict((9, 5)), "win_rate", SCALE, (3, 1)).values == ((1 + 2 * 0.5) / 3, 0)
    assert rewards_of(verdict((9,)), "centred", SCALE, (4,)).values == (0,)
    assert rewards_of(verdict((9,)), "rank", SCALE, (4,)).values == (0.5,)


def test_against_a_naive_count_over_members():
    rows = [(3, 8, 8, 1), (9, 2, 8, 4), (5, 5, 6, 6)]
    copies = (2, 1, 3, 1)
    members = [i for i, count in enumerate(copies) for _ in range(count)]
    naive = []
    for i in range(4):
        others = list(members)
        others.remove(i)
        points = [1.0 if row[i] > row[j] else 0.5 if row[i] == row[j] else 0.0 for row in rows for j in others]
        naive.append(math.fsum(points) / len(points))
    found = rewards_of(verdict(*rows), "win_rate", SCALE, copies)
    assert found.values == pytest.approx(naive, abs=1e-15)


def test_a_guided_vote_compares_what_it_kept():
    every = judgments((1, 5), (5, 6), (4, 8), (9, 6))
    ratings = {(i, 0, 0): Rating(value) for i, value in enumerate((0.9, 0.1, 0.8, 0.2))}
    found = decide_guided(every, ratings, id="a", n=2, k=4)
    assert found.kept == (0, 2)
    assert rewards_of(found, "total", SCALE) == Rewards("total", (5, 13), (2, 20))
    assert rewards_of(found, "win_rate", SCALE).values == (0, 1)


def test_expected_scores_compare_as_such():
    found = decide(judgments((5, 5), expected=[(5.2, 4.9)]), id="a", n=2, k=1, rule="expected")
    assert rewards_of(found, "mean", SCALE).values == (5.2, 4.9)
    assert rewards_of(found, "win_rate", SCALE).values == (1, 0)


def test_blocks_have_no_stated_range_and_compare_within():
    blocks = [
        Judgment(0, (0, 1), 1, "x", "stop", (3, 9), block=0),
        Judgment(0, (1, 2), 1, "y", "stop", (9, 6), block=1),
    ]
    found = decide(blocks, id="a", n=3, k=1)
    assert rewards_of(found, "mean", SCALE) == Rewards("mean", (3, 9, 6), None)
    assert rewards_of(found, "win_rate", SCALE).values == (0, 1, 0)


@pytest.mark.parametrize("normalisation", ["total", "mean", "unit", "centred", "rank", "win_rate"])
def test_where_there_is_no_verdict_there_is_no_number(normalisation):
    nothing = decide([], id="a", n=2, k=1)
    partly = verdict((1, 5), error=ItemError("ReplyError", "half of it failed"))
    infinite = verdict((1, math.inf))
    for bad in (nothing, partly) + ((infinite,) if normalisation in ("total", "mean", "unit", "centred") else ()):
        with pytest.raises(NoVerdictError, match="no reward"):
            rewards_of(bad, normalisation, SCALE)


@pytest.mark.parametrize("normalisation", ["centred", "rank", "win_rate"])
def test_one_response_compares_with_nothing(normalisation):
    with pytest.raises(InputError, match="there is one"):
        rewards_of(verdict((5,)), normalisation, SCALE)


def test_what_is_not_a_normalisation_or_has_no_scale():
    with pytest.raises(InputError, match="expected one of total, mean"):
        rewards_of(verdict((5, 6)), "softmax", SCALE)
    with pytest.raises(InputError, match="needs a judge that states its scale"):
        rewards_of(verdict((5, 6)), "unit", None)
    assert rewards_of(verdict((5, 6)), "mean", None) == Rewards("mean", (5, 6), None)


def naive_win_rate(rows, copies):
    """Each member against each other of the group, row by row."""
    members = [i for i, count in enumerate(copies) for _ in range(count)]
    rates = []
    for mine in range(len(copies)):
        rest = list(members)
        rest.remove(mine)
        wins = [
            1.0 if row[mine] > row[other] else 0.5 if row[mine] == row[other] else 0.0 for row in rows for other in rest
        ]
        rates.append(sum(wins) / len(wins))
    return tuple(rates)


def test_win_rates_are_those_of_comparing_each_with_each():
    chance = random.Random(3)
    for _ in range(50):
        n = chance.randrange(2, 9)
        rows = [tuple(chance.randrange(1, 6) for _ in range(n)) for _ in range(chance.randrange(1, 6))]
        copies = tuple(chance.randrange(1, 4) for _ in range(n))
        found = rewards_of(verdict(*rows), "win_rate", SCALE, copies)
        assert found.values == pytest.approx(naive_win_rate(rows, copies), abs=1e-12)
