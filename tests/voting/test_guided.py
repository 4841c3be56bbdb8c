from dataclasses import replace

import pytest

from meta.judged import judgment
from spct.types import ItemError
from spct.voting.guided import best_rated, decide_guided, default_k_meta, index_ratings
from spct.voting.ratings import Rating

PAPER = [(1, 5), (5, 6), (4, 8), (7, 6)]


def ratings(*values):
    return {
        (i, 0, 0): Rating(value) if value is not None else Rating(None, "too long") for i, value in enumerate(values)
    }


def guided(scores, said, n=2, **more):
    judgments = [judgment(i, row) if not hasattr(row, "order") else row for i, row in enumerate(scores)]
    return decide_guided(judgments, said, id="q", n=n, k=len(scores), **more)


def test_worked_example_of_the_paper():
    verdict = guided(PAPER, ratings(0.9, 0.2, 0.8, 0.1))
    assert verdict.kept == (0, 2)
    assert verdict.totals == (5, 13)
    assert verdict.best == 1
    assert (verdict.valid, verdict.invalid, verdict.valid_N, verdict.k) == (4, 0, (2, 2), 4)
    assert len(verdict.judgments) == 4


@pytest.mark.parametrize(
    ("k_meta", "kept", "totals"), [(1, (0,), (1, 5)), (3, (0, 1, 2), (10, 19)), (4, (0, 1, 2, 3), (17, 25))]
)
def test_other_k_meta(k_meta, kept, totals):
    verdict = guided(PAPER, ratings(0.9, 0.2, 0.8, 0.1), k_meta=k_meta)
    assert verdict.kept == kept
    assert verdict.totals == totals


def test_half_is_rounded_up():
    assert [default_k_meta(k) for k in (1, 2, 3, 4, 5, 8, 32)] == [1, 1, 2, 2, 3, 4, 16]


def test_equal_ratings_keep_the_judgment_sampled_first():
    rated = {3: 0.5, 1: 0.5, 2: 0.7, 0: 0.1}
    assert best_rated(rated, range(4), 2) == (1, 2)
    assert best_rated(rated, (0, 3, 5)) == (0, 3)  # half of three, rounded up, of the two that are rated
    assert best_rated(rated, (0, 3, 5), 1) == (3,)


def test_an_invalid_judgment_is_never_kept():
    said = {**ratings(0.9, 0.2, 0.8, 0.1), (1, 0, 0): Rating(1.0)}
    verdict = guided([PAPER[0], None, PAPER[2], PAPER[3]], said, k_meta=4)
    assert verdict.kept == (0, 2, 3)
    assert (verdict.valid, verdict.invalid) == (3, 1)
    assert verdict.totals == (12, 19)


def test_the_valid_attempt_of_a_judgment_is_the_one_rated():
    first = judgment(0, None)
    again = judgment(0, (3, 9), attempt=1)
    other = judgment(1, (8, 2))
    verdict = decide_guided(
        [first, again, other], {(0, 0, 1): Rating(0.9), (1, 0, 0): Rating(0.1)}, id="q", n=2, k=2, k_meta=1
    )
    assert verdict.kept == (0,)
    assert verdict.totals == (3, 9)


def test_unrated_judgments_are_counted_and_never_kept():
    verdict = guided(PAPER, ratings(0.1, None, None, None), k_meta=2)
    assert verdict.kept == (0,)
    assert verdict.unrated == 3
    assert verdict.totals == (1, 5)
    assert verdict.error is None


def test_no_rating_at_all_is_no_verdict():
    verdict = guided(PAPER, ratings(None, None, None, None))
    assert verdict.best is None
    assert verdict.error == ItemError(
        "NoRating", "none of the 4 valid judgments has a rating, so none can be kept; the first: too long"
    )
    assert verdict.kept == ()


def test_without_a_valid_judgment_the_reason_is_that():
    assert guided([None, None], {}).error.type == "NoValidJudgment"


def test_only_valid_judgments_can_lack_a_rating():
    judgments = [judgment(0, (1, 5)), judgment(1, (5, 6)), judgment(2, None)]
    found = decide_guided(judgments, ratings(0.9), id="q", n=2, k=3)
    assert (found.kept, found.unrated, found.valid, found.invalid) == ((0,), 1, 2, 1)


@pytest.mark.parametrize(("temperature", "duplicates"), [(0.5, 1), (0.0, 0)])
def test_repeats_are_counted_over_all_judgments_unless_decoding_is_greedy(temperature, duplicates):
    judgments = [replace(judgment(i, (1, 5)), text="the same") for i in range(2)]
    found = decide_guided(judgments, ratings(0.9, 0.1), id="q", n=2, k=2, k_meta=1, temperature=temperature)
    assert (found.kept, found.duplicates) == ((0,), duplicates)


def test_a_callers_error_comes_before_that_of_the_ratings():
    error = ItemError("ReplyError", "the server gave up")
    assert decide_guided([judgment(0, (1, 5))], {}, id="q", n=2, k=2, error=error).error == error
    assert decide_guided([judgment(0, (1, 5))], ratings(0.9), id="q", n=2, k=2, error=error).best == 1


def test_half_of_what_was_sampled_not_of_what_was_planned():
    judgments = [judgment(i, row) for i, row in enumerate(PAPER)]
    assert decide_guided(judgments, ratings(0.4, 0.3, 0.2, 0.1), id="q", n=2, k=32).kept == (0, 1)


def test_expected_scores_of_the_kept_alone():
    judgments = [judgment(0, (5, 5), expected=(5.25, 5.5)), judgment(1, (9, 1))]
    verdict = decide_guided(judgments, ratings(0.9, 0.1), id="q", n=2, k=2, k_meta=1, rule="expected")
    assert verdict.totals == (5.25, 5.5)


def test_passes_in_blocks_are_rated_by_the_mean_of_their_blocks():
    def passed(index, scores):
        return [
            judgment(index, scores[:2], order=(0, 1), block=0),
            judgment(index, scores[1:], order=(1, 2), block=1),
        ]

    judgments = [*passed(0, (9, 5, 1)), *passed(1, (1, 5, 9)), *passed(2, (1, 5, 9))]
    said = {
        (0, 0, 0): Rating(0.9), (0, 1, 0): Rating(0.1),
        (1, 0, 0): Rating(0.6), (1, 1, 0): Rating(0.6),
        (2, 0, 0): Rating(1.0), (2, 1, 0): Rating(None, "too long"),
    }  # fmt: skip
    assert index_ratings(judgments, said) == {0: 0.5, 1: 0.6}
    verdict = decide_guided(judgments, said, id="q", n=3, k=3, k_meta=1)
    assert verdict.kept == (1,)
    assert verdict.totals == (1, 5, 9)
    assert verdict.unrated == 1
