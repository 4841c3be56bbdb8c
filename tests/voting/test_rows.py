import pytest

from spct.types import Judgment, Problem
from spct.voting.blocks import block_drift, in_blocks
from spct.voting.rows import count_judgments, rows_of, sample_rows, samples_by_block, scored_N


def judgment(index, scores, *, order=(0, 1, 2), block=0, attempt=0, expected=None):
    problem = Problem("no_box", "no box") if scores is None else None
    return Judgment(index, order, 0, "text", "stop", scores, problem, expected, attempt=attempt, block=block)


def blocks(index, first, second, **more):
    """A sample of four responses in two blocks that share two of them."""
    return [
        judgment(index, first, order=(2, 0, 1), block=0, **more),
        judgment(index, second, order=(1, 2, 3), block=1, **more),
    ]


def test_a_judgment_of_all_responses_is_its_own_row():
    rows = rows_of([judgment(0, (7, 6, 5)), judgment(1, None), judgment(2, (1, 2, 3), order=(2, 1, 0))], 3)
    assert rows == [(7, 6, 5), (1, 2, 3)]
    assert all(type(score) is int for row in rows for score in row)


def test_the_last_valid_attempt_counts():
    attempts = [
        judgment(0, None),
        judgment(0, (7, 6, 5), attempt=1),
        judgment(1, (1, 2, 3)),
        judgment(1, None, attempt=1),
    ]
    assert rows_of(attempts, 3) == [(7, 6, 5), (1, 2, 3)]
    assert rows_of([judgment(0, (7, 6, 5)), judgment(0, (1, 2, 3), attempt=1)], 3) == [(1, 2, 3)]


def test_scores_recorded_one_by_one_are_one_row_as_they_are():
    apart = [
        judgment(0, (7, 5), order=(2, 0)),
        judgment(0, None, order=(1,), block=2),
        judgment(1, (3,), order=(1,), block=1),
        judgment(1, (9,), order=(0,), block=2),
    ]
    assert rows_of(apart, 3) == [[7, None, 5], [9, 3, None]]
    assert rows_of([judgment(0, (7, 5), order=(0, 2))], 3) == [[7, None, 5]]
    assert rows_of([judgment(0, None, order=(i,), block=1 + i) for i in range(3)], 3) == []


def test_blocks_are_parts_that_share_a_response():
    whole = [((0, 1, 2), (7, 6, 5))]
    apart = [((0, 2), (7, 5)), ((1,), None)]
    shared = [((0, 1), (7, 6)), ((1, 2), None)]
    assert not in_blocks([whole, apart, []])
    assert not in_blocks([[((0, 1), (7, 6))], [((1, 2), (7, 6))]])  # of two samples: nothing was shown twice in one
    assert in_blocks([whole, apart, shared])


def test_blocks_are_reconciled_and_a_response_judged_twice_averaged():
    # the second block is stricter by two, in both samples
    judgments = [*blocks(0, (8, 6, 4), (4, 2, 7)), *blocks(1, (8, 6, 4), (4, 2, 7))]
    first, second, *_ = block_drift([((0, 1, 2), (8, 6, 4)), ((1, 2, 3), (4, 2, 7))] * 2, 4)
    row = [8 - first, (10 - first - second) / 2, (6 - first - second) / 2, 7 - second]
    assert rows_of(judgments, 4) == [pytest.approx(row), pytest.approx(row)]
    assert second < -0.5 < 0.5 < first


def test_a_sample_that_lost_a_block_keeps_the_scores_of_the_others():
    rows = rows_of([*blocks(0, (8, 6, 4), (6, 4, 9)), *blocks(1, (8, 6, 4), None)], 4)
    assert rows == [pytest.approx([8, 6, 4, 9]), [pytest.approx(8), pytest.approx(6), pytest.approx(4), None]]


def test_expected_scores_are_reconciled_as_such():
    plain = [*blocks(0, (8, 6, 4), (6, 4, 9), expected=(7.5, 5.5, 3.5)), judgment(1, None, order=(0, 1, 2), block=0)]
    assert rows_of(plain, 4, "expected") == [
        pytest.approx(row) for row in rows_of(blocks(0, (7.5, 5.5, 3.5), (7.5, 5.5, 3.5)), 4)
    ]
    assert rows_of([judgment(0, (7, 6, 5), expected=(6.5, 6.25, 5.0)), judgment(1, None)], 3, "expected") == [
        (6.5, 6.25, 5.0)
    ]
    assert rows_of([judgment(0, (7, 6, 5), expected=(6.5, 6.25, 5.0)), judgment(1, (7, 6, 5))], 3, "expected") is None


def test_a_sample_without_a_valid_part_has_no_row():
    assert sample_rows([[], [((0, 1), None)], [((0, 1), (3, 4))]], 2) == [None, None, (3, 4)]


def test_in_how_many_samples_each_response_is_scored():
    def counted(judgments, n):
        return scored_N(samples_by_block(judgments), n)

    assert counted([*blocks(0, (8, 6, 4), (6, 4, 9)), *blocks(1, (8, 6, 4), None)], 4) == (2, 2, 2, 1)
    assert counted([judgment(0, None), judgment(0, (7, 6, 5), attempt=1)], 3) == (1, 1, 1)
    assert counted([], 2) == (0, 0)


def test_completions_are_counted_but_for_scores_that_were_recorded_one_by_one():
    assert count_judgments([judgment(0, None), judgment(0, (7, 6, 5), attempt=1), judgment(1, None)], 3) == (3, 2)
    assert count_judgments([*blocks(0, (8, 6, 4), (6, 4, 9)), *blocks(1, (8, 6, 4), None)], 4) == (4, 1)
    apart = [
        judgment(0, (7, 5), order=(0, 2)),
        judgment(0, None, order=(1,), block=2),
        judgment(1, (6, 6, 4)),
        *(judgment(2, None, order=(i,), block=1 + i) for i in range(3)),
    ]
    assert count_judgments(apart, 3) == (3, pytest.approx(4 / 3))
