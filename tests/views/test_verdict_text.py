from dataclasses import replace

from spct.types import ItemError, Judgment, Problem
from spct.voting.verdict import verdict_text
from spct.voting.vote import decide


def judgments(*rows):
    n = len(rows[0])
    return [Judgment(i, tuple(range(n)), i, f"text {i}", "stop", row) for i, row in enumerate(rows)]


def test_a_verdict_in_words():
    # The paper's worked example, already in item order: totals 20 and 27.
    verdict = replace(decide(judgments((8, 8), (5, 9), (7, 10)), id="q1", n=2, k=3), confidence=0.987)
    assert verdict_text(verdict).splitlines() == [
        "q1: response 1 is best of 2 (numbered from 0), confidence 0.99",
        "  rank  response  total  mean  spread  valid",
        "     1         1     27  9.00    1.00      3",
        "     2         0     20  6.67    1.53      3",
        "sum of scores, 3 of k = 3 judgments valid",
        "confidence 0.99: the estimated chance that response 1 would still lead if this judge went "
        "on sampling, not the chance that the judge is right",
    ]


def test_ties_share_a_rank_and_name_their_rule():
    verdict = replace(decide(judgments((6, 6, 2, 6)), id="q", n=4, k=2, tie_rule="last"), confidence=0.5)
    assert verdict_text(verdict).splitlines() == [
        "q: response 3 is best of 4 (numbered from 0), confidence 0.50",
        "  rank  response  total  mean  spread  valid",
        "     1         3      6  6.00       -      1",
        "     1         1      6  6.00       -      1",
        "     1         0      6  6.00       -      1",
        "     4         2      2  2.00       -      1",
        "sum of scores, 1 of k = 2 judgments valid",
        'responses 0, 1 and 3 tie for first place; tie rule "last": the last of them in the item wins',
        "confidence 0.50: the estimated chance that response 3 would still lead if this judge went on sampling, "
        "not the chance that the judge is right",
    ]


def test_a_single_response_has_a_score_and_no_rival():
    assert verdict_text(decide(judgments((7,), (8,)), id="one", n=1, k=2)).splitlines() == [
        "one: the response scores 7.50",
        "  rank  response  total  mean  spread  valid",
        "     1         0     15  7.50    0.71      2",
        "sum of scores, 2 of k = 2 judgments valid",
    ]


def test_print_shows_it_and_repr_leaves_the_judgments_out():
    verdict = decide(judgments((3, 8)), id="q", n=2, k=1)
    assert str(verdict) == f"{verdict}" == verdict_text(verdict)
    assert repr(verdict).startswith("Verdict(id='q', n=2, k=1, ") and "text 0" not in repr(verdict)


def test_no_verdict_says_why():
    bad = [Judgment(0, (0, 1), 0, "?", "stop", None, Problem("no_box", "no box"))]
    assert verdict_text(decide(bad, id="q\n2", n=2, k=1, error=ItemError("RejectedError", "the server\x1b[2J"))) == (
        "q 2: no verdict\nRejectedError: the server\\x1b[2J"
    )


def test_what_was_lost_is_counted_by_cause():
    bad = [Judgment(9, (0, 1), 9, f"{i}", "stop", None, Problem("no_box", "no box"), attempt=i) for i in range(2)]
    text = verdict_text(decide([*judgments((3, 5), (3, 5)), *bad], id="q", n=2, k=3))
    assert "sum of scores, 2 of k = 3 judgments valid, 2 completions invalid (no_box 2)" in text


def test_repeats_are_said():
    same = [Judgment(i, (0, 1), i, "same", "stop", (3, 5)) for i in range(3)]
    assert "2 judgments repeat an earlier one word for word" in verdict_text(decide(same, id="q", n=2, k=3))
