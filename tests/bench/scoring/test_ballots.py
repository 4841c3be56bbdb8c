import pytest

from bench.samples import ballot
from spct.bench.scoring.ballots import ballots_of, missing_share
from spct.bench.suites import Ballot
from spct.bench.suites.grading import means_of
from spct.run.store import RunStore
from spct.types import Item, Judgment, Message, Problem, Usage
from spct.voting.vote import decide

BAD = Problem("no_box", "no box")


def item(id, n=2):
    return Item(id, (Message("user", f"query {id}"),), tuple(f"r{i}" for i in range(n)), best=0)


def judgment(index, scores, *, order=(0, 1), block=0, attempt=0, expected=None):
    problem = BAD if scores is None else None
    return Judgment(index, order, 0, "text", "stop", scores, problem, expected, attempt=attempt, block=block)


def stored(path, *items):
    store = RunStore.create(path, {"settings": "{}"})
    for position, (found, judgments) in enumerate(items):
        store.add_item(position, found)
        store.record(position, judgments, Usage())
    store.flush()
    return store


def test_ballots_follow_the_planned_samples_and_the_last_attempt_counts(tmp_path):
    judgments = [
        judgment(2, (3, 4), order=(1, 0)),
        judgment(0, None),
        judgment(0, (7, 6), attempt=1),
        judgment(3, None),
    ]
    store = stored(tmp_path, (item("a"), judgments), (item("b"), []))
    assert ballots_of(store) == {
        "a": [Ballot((7, 6), (0, 1)), Ballot(None, ()), Ballot((3, 4), (1, 0)), Ballot(None, (0, 1))],
        "b": [],
    }
    store.close()


def test_expected_scores_are_ballots_of_their_own(tmp_path):
    judgments = [judgment(0, (7, 6), expected=(6.5, 6.25)), judgment(1, (5, 5)), judgment(2, None)]
    store = stored(tmp_path, (item("a"), judgments))
    assert ballots_of(store, scored="expected")["a"] == [
        Ballot((6.5, 6.25), (0, 1)),
        Ballot(None, (0, 1), lacking=True),
        Ballot(None, (0, 1)),
    ]
    assert not any(ballot.lacking for ballot in ballots_of(store)["a"])
    store.close()


HALVES = [judgment(0, (7, 6), order=(0, 1), expected=(6.5, 6.25)), judgment(0, (6, 9), order=(1, 2), block=1)]


@pytest.mark.parametrize(
    ("judgments", "n"),
    [
        ([judgment(0, (7, 6), expected=(6.5, 6.25)), judgment(1, None), judgment(2, (5, 5))], 2),
        ([judgment(0, None), judgment(0, (7, 6), attempt=1), judgment(1, (7, 5), expected=(6.5, 5.25))], 2),
        ([judgment(0, (7, 6), expected=(6.5, 6.25)), judgment(1, (7, 6), expected=(6.0, 7.25))], 2),
        (HALVES, 3),
        ([*HALVES, judgment(1, (7, 6, 5), order=(0, 1, 2), expected=(6.5, 6.25, 5.0))], 3),
    ],
)
def test_the_vote_on_expected_scores_is_that_of_the_verdict_at_every_k(tmp_path, judgments, n):
    store = stored(tmp_path, (item("a", n), judgments))
    ballots = ballots_of(store, scored="expected")["a"]
    for k in range(1, len(ballots) + 1):
        first = [judgment for judgment in judgments if judgment.index < k]
        assert means_of(ballots[:k]) == decide(first, id="a", n=n, k=k, rule="expected").means
    store.close()


def test_responses_scored_apart_are_one_ballot_that_leaves_out_what_failed(tmp_path):
    judgments = [
        judgment(0, (7, 5), order=(0, 2)),
        judgment(0, None, order=(1,), block=2),
        judgment(1, (6, 6, 4), order=(0, 1, 2)),
    ]
    store = stored(tmp_path, (item("a", 3), judgments))
    first, second = ballots_of(store)["a"]
    assert first == Ballot((7, None, 5), (0, 2, 1))
    assert second == Ballot((6, 6, 4), (0, 1, 2))
    assert means_of([first, second]) == (6.5, 6.0, 4.5)
    assert means_of([first]) is None
    store.close()


def test_blocks_that_share_responses_have_their_drift_taken_out(tmp_path):
    # the second block is stricter by two on the responses that both show
    judgments = [judgment(i, (8, 6, 4), order=(0, 1, 2)) for i in range(2)] + [
        judgment(i, (4, 2, 7), order=(1, 2, 3), block=1) for i in range(2)
    ]
    store = stored(tmp_path, (item("a", 4), judgments))
    (first, second) = ballots_of(store)["a"]
    assert first.scores_N == second.scores_N
    assert first.order == (0, 1, 2, 1, 2, 3)
    assert first.scores_N[3] > first.scores_N[0] - 1 > first.scores_N[1] - 1 > first.scores_N[2] - 1
    store.close()


def by_blocks(index, *scores, **more):
    """A sample of five responses in three blocks."""
    orders = [(0, 1, 2), (2, 3, 4), (4, 0, 1)]
    return [
        judgment(index, found, order=order, block=block, **more)
        for block, (order, found) in enumerate(zip(orders, scores, strict=True))
    ]


WHOLE = by_blocks(0, (8, 6, 4), (6, 3, 9), (9, 9, 7))


@pytest.mark.parametrize(
    ("judgments", "n"),
    [
        (WHOLE, 5),
        ([*WHOLE, *by_blocks(1, (2, 6, 4), None, (9, 1, 7))], 5),
        ([*by_blocks(0, None, (6, 3, 9), (9, 9, 7)), *by_blocks(1, (2, 6, 4), None, (9, 1, 7))], 5),
        (by_blocks(0, (8, 6, 4), None, (9, 9, 7)), 5),  # response 3 is scored by nobody
        ([*WHOLE, *by_blocks(1, None, None, None)], 5),
        ([*by_blocks(0, None, None, None), *by_blocks(0, (8, 6, 4), (6, 3, 9), (9, 9, 7), attempt=1)], 5),
        (
            [
                judgment(0, (7, 5), order=(0, 2)),
                judgment(0, None, order=(1,), block=2),
                judgment(1, (6, 9), order=(1, 2)),
            ],
            3,
        ),
        (
            [
                judgment(0, (7, 5), order=(0, 2)),
                judgment(1, (10, 1), order=(0, 2)),
                judgment(2, (1, 2, 2), order=(2, 1, 0)),
            ],
            3,
        ),
        ([judgment(0, None), judgment(0, (7, 6), attempt=1), judgment(1, None), judgment(2, (3, 5))], 2),
        ([judgment(0, None)], 2),
    ],
)
def test_the_vote_over_the_ballots_is_that_of_the_verdict(tmp_path, judgments, n):
    store = stored(tmp_path, (item("a", n), judgments))
    verdict = decide(judgments, id="a", n=n, k=3)
    assert means_of(ballots_of(store)["a"]) == verdict.means
    store.close()


def test_a_ballot_is_missing_by_the_share_of_its_scores_that_is():
    ballots = {"a": [ballot(1, 2), ballot(1, None)], "b": [Ballot(None, (0, 1, 2)), ballot(1, 2, None)]}
    assert missing_share(ballots) == pytest.approx((0.5 + 1 + 1 / 3) / 4)
    assert missing_share({"a": []}) == 0
