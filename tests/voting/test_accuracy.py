import math
from dataclasses import replace

import pytest

from spct.types import Item, Message
from spct.voting.accuracy import Grades, grade, grades_of, tie_credit

PAIR = Item("p", (Message("user", "q"),), ("a", "b"), best=0)
SINGLE = Item("s", (Message("user", "q"),), ("a",), rewards_N=(1.0,))


@pytest.mark.parametrize(
    "means,expected",
    [((8, 7), "correct"), ((7, 8), "wrong"), ((8, 8), "tied"), (None, "invalid")],
)
def test_eq_10_for_a_pair(means, expected):
    assert grade(means, PAIR) == expected


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


@pytest.mark.parametrize(("mean", "label"), [(7.6, 8.0), (1.4, 1.0), (0.5, 2.0), (-0.4, 0.0), (1.5, 2.0)])
def test_only_means_between_0_and_1_are_a_majority(mean, label):
    assert grade((mean,), replace(SINGLE, rewards_N=(label,))) == "wrong"


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
