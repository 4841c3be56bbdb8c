"""The vote: the paper's worked examples, the three rules, ties, and verdicts that say why there is none."""

from __future__ import annotations

import json
from collections import Counter
from math import sqrt

import pytest

from spct.errors import InputError
from spct.types import FinishReason, ItemError, Judgment, Problem, ProblemCode
from spct.voting.vote import count_duplicates, decide, row_means, vote


def judgment(
    index: int,
    scores: tuple[int, ...] | None,
    *,
    order: tuple[int, ...] = (0, 1),
    expected: tuple[float, ...] | None = None,
    code: ProblemCode = "no_box",
    text: str | None = None,
    finish: FinishReason = "stop",
) -> Judgment:
    problem = None if scores else Problem(code, "because")
    return Judgment(index, order, index, text or f"text {index}", finish, scores, problem, expected)


def test_the_worked_examples_of_the_paper() -> None:
    reversed_twice = vote([(8, 8), (5, 9), (7, 10)])
    assert reversed_twice.totals == (20, 27)
    assert reversed_twice.ranking == (1, 0)
    assert vote([(1, 5), (5, 6), (4, 8), (7, 6)]).totals == (17, 25)
    assert vote([(1, 5), (4, 8)]).totals == (5, 13)


def test_means_spread_and_counts_in_closed_form() -> None:
    tally = vote([(1, 5), (5, 6), (4, 8), (7, 6)])
    assert tally.means == (4.25, 6.25)
    assert tally.spread == pytest.approx((2.5, sqrt(4.75 / 3)))
    assert tally.counts == (4, 4)
    assert vote([(7, 6)]).spread == (None, None)
    assert vote([(7, 6)] * 3).spread == (0.0, 0.0)


def test_a_missing_score_is_no_score_of_zero() -> None:
    tally = vote([(6, None, 5), (6, 7, None), (6, None, 5)])
    assert tally.totals == (18, 7, 10)
    assert tally.means == (6.0, 7.0, 5.0)
    assert tally.counts == (3, 1, 2)
    assert tally.ranking == (1, 0, 2)


def test_equal_means_of_unequal_counts_are_a_tie() -> None:
    assert vote([(7, 7), (6, None), (7, None)]).tied == ()
    assert vote([(7, 7), (7, None), (7, None)]).tied == (0, 1)


def test_the_means_alone_are_those_of_the_vote() -> None:
    rows = [(6, None, 0.1), (6, 7, 0.2), (5, None, 0.3)]
    assert row_means(rows) == vote(rows).means
    assert row_means([(1, None)]) is None
    assert row_means([]) is None
    with pytest.raises(InputError, match=r"rows of \[1, 2\] scores"):
        row_means([(1, 2), (1,)])


def test_float_totals_do_not_depend_on_the_order_of_samples() -> None:
    rows = [(0.1, 0.3), (0.2, 0.2), (0.3, 0.1)]
    assert vote(rows).totals == vote(rows[::-1]).totals
    assert vote(rows).tied == (0, 1)


def test_tie_rules() -> None:
    rows = [(7, 5, 7, 7)]
    assert vote(rows, tie_rule="first").ranking == (0, 2, 3, 1)
    assert vote(rows, tie_rule="last").ranking == (3, 2, 0, 1)
    assert vote(rows, tie_rule="first").tied == (0, 2, 3)
    assert vote([(7, 5), (5, 6)], tie_rule="last").tied == ()
    assert vote([(9, 5, 5)], tie_rule="first").tied == ()


def test_random_ties_repeat_for_an_item_and_are_fair_over_items() -> None:
    picks = Counter(vote([(7, 7, 7, 3)], seed_key=f"0:{item}").best for item in range(3000))
    assert set(picks) == {0, 1, 2}
    assert all(900 < count < 1100 for count in picks.values())
    assert len({vote([(7, 7, 7, 3)] * k, seed_key="0:a").ranking for k in range(1, 9)}) == 1


def test_items_break_their_ties_apart_and_a_run_breaks_them_by_its_seed() -> None:
    def best(id: str, seed: int = 0) -> int | None:
        return decide([judgment(0, (7, 7))], id=id, n=2, k=1, seed=seed).best

    items = [best(f"q{i}") for i in range(60)]
    assert items == [best(f"q{i}") for i in range(60)]
    assert 15 < sum(found == 0 for found in items) < 45
    seeds = [best("q", seed) for seed in range(60)]
    assert 15 < sum(found == 0 for found in seeds) < 45


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([], {}, "got no scores"),
        ([()], {}, "got no scores"),
        ([(1, 2), (1,)], {}, r"rows of \[1, 2\] scores"),
        ([(1, None)], {}, "no row scores response 1"),
        ([(1, 2)], {"tie_rule": "coin"}, "tie rule 'coin': expected one of random, first, last"),
    ],
)
def test_bad_input_is_refused(rows: list[tuple[int, ...]], options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        vote(rows, **options)


def test_a_verdict_as_the_json_line() -> None:
    verdict = decide([judgment(0, (8, 8)), judgment(1, (5, 9)), judgment(2, (7, 10))], id="q1", n=2, k=3)
    row = json.loads(verdict.to_json())
    assert list(row) == [
        *("id", "best", "ranking", "totals", "means", "spread", "k", "valid", "invalid", "tied", "confidence", "error")
    ]
    assert '"totals":[20,27]' in verdict.to_json()
    assert row == {
        "id": "q1",
        "best": 1,
        "ranking": [1, 0],
        "totals": [20, 27],
        "means": [20 / 3, 9.0],
        "spread": pytest.approx([sqrt(7 / 3), 1.0]),
        "k": 3,
        "valid": 3,
        "invalid": 0,
        "tied": [],
        "confidence": verdict.confidence,
        "error": None,
    }
    assert verdict.confidence is not None and 0.9 < verdict.confidence < 1


def test_invalid_judgments_are_kept_counted_and_left_out() -> None:
    verdict = decide([judgment(0, (8, 3)), judgment(1, None), judgment(1, (7, 3))], id="q", n=2, k=2)
    assert (verdict.valid, verdict.invalid, len(verdict.judgments)) == (2, 1, 3)
    assert verdict.totals == (15, 6)
    assert verdict.valid_N == (2, 2)


def test_no_valid_judgment_is_no_verdict_with_the_causes() -> None:
    bad = [judgment(0, None, code="truncated"), judgment(1, None), judgment(2, None, code="truncated")]
    verdict = decide(bad, id="q", n=2, k=3)
    row = verdict.as_row()
    assert [row[key] for key in ("best", "ranking", "totals", "means", "spread", "confidence")] == [None] * 6
    assert (row["valid"], row["invalid"], row["tied"]) == (0, 3, [])
    assert row["error"]["type"] == "NoValidJudgment"
    assert "none of the 3 judgments validly scores all responses (truncated 2, no_box 1)" in row["error"]["message"]
    assert "nothing was sampled" in decide([], id="q", n=2, k=3).as_row()["error"]["message"]


def test_a_callers_error_stays_beside_a_partial_vote() -> None:
    error = ItemError("ReplyError", "the server gave up")
    assert decide([], id="q", n=2, k=2, error=error).error == error
    partial = decide([judgment(0, (8, 3))], id="q", n=2, k=2, error=error)
    assert (partial.best, partial.error) == (0, error)


def test_expected_scores_are_voted_on_only_if_every_valid_judgment_has_them() -> None:
    both = [judgment(0, (8, 8), expected=(7.5, 8.25)), judgment(1, (8, 8), expected=(7.5, 8.0)), judgment(2, None)]
    verdict = decide(both, id="q", n=2, k=3, rule="expected")
    assert (verdict.best, verdict.totals) == (1, (15.0, 16.25))
    mixed = decide([*both, judgment(3, (8, 7))], id="q", n=2, k=4, rule="expected")
    assert mixed.best is None
    assert mixed.error is not None and mixed.error.type == "NoExpectedScore"
    assert mixed.error.message.startswith("1 of 3 valid judgments have no expected score")


def test_blocks_score_their_own_responses_in_item_order() -> None:
    blocks = [judgment(0, (9, 4), order=(2, 0)), judgment(1, (5, 6), order=(1, 2)), judgment(2, (8, 5), order=(0, 1))]
    verdict = decide(blocks, id="q", n=3, k=2, rule="mean")
    assert verdict.valid_N == (2, 2, 2)
    assert verdict.totals == (17, 10, 10)
    missing = decide(blocks[:1], id="q", n=3, k=2)
    assert missing.error is not None and "validly scores response 1 " in missing.error.message


def test_a_single_response_has_a_total_and_no_confidence() -> None:
    verdict = decide([judgment(0, (6,), order=(0,)), judgment(1, (8,), order=(0,))], id="q", n=1, k=2)
    assert (verdict.best, verdict.ranking, verdict.totals, verdict.confidence) == (0, (0,), (14,), None)


def test_repeated_completions_of_one_prompt_are_counted() -> None:
    same = [judgment(i, (8, 3), text="the same") for i in range(3)]
    other_order = judgment(3, (8, 3), order=(1, 0), text="the same")
    assert count_duplicates([*same, other_order]) == 2
    assert decide(same, id="q", n=2, k=3).duplicates == 2
    assert decide(same, id="q", n=2, k=3, temperature=0).duplicates == 0
