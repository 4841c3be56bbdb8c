import pytest

from bench.samples import ballot
from spct.bench.suites import Ballot
from spct.bench.suites.grading import games_of, graded_best, means_of
from spct.errors import InputError


def test_a_vote_is_the_mean_of_the_valid_ballots():
    assert means_of([ballot(8, 8), ballot(5, 9), Ballot(None, (0, 1)), ballot(7, 10)]) == (20 / 3, 9.0)
    assert means_of([]) is None
    assert means_of([Ballot(None, ())]) is None
    with pytest.raises(InputError, match="equal lengths"):
        means_of([ballot(1, 2), ballot(1, 2, 3)])


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ((3.0, 2.0, 1.0), ("correct", 1.0, 1.0, 1.0)),
        ((3.0, 3.0, 3.0), ("tied", 1 / 3, 0.0, 1 / 3)),
        ((2.0, 3.0, 3.0), ("wrong", 0.0, 0.0, 0.0)),
        (None, ("invalid", 0.25, 0.0, 0.0)),
    ],
)
def test_grades(means, expected):
    found = graded_best(means, 0, invalid=0.25)
    assert (found.grade, found.own, found.strict, found.random) == expected


def test_own_credit_of_a_tie():
    found = graded_best((3.0, 3.0), 1, tie=0.0)
    assert (found.own, found.strict, found.random) == (0.0, 0.0, 0.5)


def test_games_are_votes_within_each_order():
    ballots = [ballot(8, 6), ballot(5, 6, order=(1, 0)), ballot(7, 9), Ballot(None, (1, 0))]
    assert games_of(ballots) == {False: (7.5, 7.5), True: (5.0, 6.0)}
    assert games_of([Ballot(None, (0, 1))]) == {False: None}
