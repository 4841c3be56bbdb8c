import math
from dataclasses import replace

import pytest

from spct.types import Item, Message
from spct.voting.accuracy import Grades, grade, grades_at, grades_of, subsets, tie_credit

PAIR = Item("p", (Message("user", "q"),), ("a", "b"), best=0)
SINGLE = Item("s", (Message("user", "q"),), ("a",), rewards_N=(1.0,))


@pytest.mark.parametrize(
    "totals,expected",
    [((8, 7), "correct"), ((7, 8), "wrong"), ((8, 8), "tied"), (None, "invalid")],
)
def test_eq_10_for_a_pair(totals, expected):
    assert grade(totals, PAIR) == expected


def test_eq_10_for_many():
    many = replace(PAIR, responses=("a", "b", "c", "d"), best=2)
    assert grade((5, 5, 6, 5), many) == "correct"
    assert grade((6, 5, 6, 5), many) == "tied"
    assert grade((7, 5, 6, 5), many) == "wrong"


def test_eq_10_for_one():
    assert grade((1,), SINGLE) == "correct"
    assert grade((0,), SINGLE) == "wrong"
    assert grade((8,), SINGLE) == "wrong"
    assert grade(None, SINGLE) == "invalid"


def test_a_vote_on_one_response_is_the_majority_of_its_scores():
    wrong = replace(SINGLE, rewards_N=(0.0,))
    assert [grade((7 / 8,), item) for item in (SINGLE, wrong)] == ["correct", "wrong"]
    assert [grade((3 / 8,), item) for item in (SINGLE, wrong)] == ["wrong", "correct"]
    assert [grade((0.5,), item) for item in (SINGLE, wrong)] == ["tied", "tied"]
    assert grades_of((0.5,), SINGLE) == Grades(tied=1, credit=0.5)
    assert grades_of((0.5,), replace(SINGLE, best=0)) == Grades(tied=1, credit=0.5)
    at_two = grades_at([(1,), (1,), (0,), None], SINGLE, 2)
    assert (at_two.correct, at_two.wrong, at_two.tied) == pytest.approx((3 / 6, 1 / 6, 2 / 6))


def test_no_ground_truth_no_grade():
    assert grade((1, 2), replace(PAIR, best=None)) is None
    assert grades_of((1, 2), replace(PAIR, best=None)) == Grades()


def test_tie_credit_is_one_over_the_tied():
    assert tie_credit((6, 6, 6, 1), 1) == pytest.approx(1 / 3)
    assert tie_credit((6, 6, 6, 1), 3) == 0.0
    assert tie_credit((6, 7), 1) == 1.0


def test_accuracies_under_both_rules():
    total = grades_of((8, 7), PAIR) + grades_of((8, 8), PAIR) + grades_of((1, 2), PAIR) + grades_of(None, PAIR)
    assert (total.correct, total.tied, total.wrong, total.invalid) == (1, 1, 1, 1)
    assert total.strict == 0.25
    assert total.random_tie == 0.375
    assert math.isnan(Grades().strict)


def test_grades_at_k_average_over_all_subsets():
    rows = [(8, 7), (5, 6), None, (7, 7)]
    one = grades_at(rows, PAIR, 1)
    assert (one.correct, one.wrong, one.invalid, one.tied) == (0.25, 0.25, 0.25, 0.25)
    two = grades_at(rows, PAIR, 2)
    # {0,1} 13:13 tied, {0,2} right, {0,3} right, {1,2} wrong, {1,3} wrong, {2,3} tied
    assert two.correct == pytest.approx(2 / 6)
    assert two.tied == pytest.approx(2 / 6)
    assert two.credit == pytest.approx(3 / 6)
    assert grades_at(rows, PAIR, 4).credit == 0.5


def test_subsets_are_all_or_a_seeded_draw():
    assert len(subsets(8, 4)) == 70
    drawn = subsets(32, 16, key="a")
    assert len(drawn) == 256
    assert drawn == subsets(32, 16, key="a") != subsets(32, 16, key="b")
    assert all(len(set(pick)) == 16 for pick in drawn)
