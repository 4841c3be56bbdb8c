"""What counts as an answer to the questions of the laboratory's second edition."""

import pytest
from benchmarks.spct_lab.questions import QUESTIONS, Question, verdict

ADDS = Question("a adds to b", "a", "b")
KEEPS = Question("a loses nothing against b", "a", "b", keeps=True)


@pytest.mark.parametrize(
    ("value", "both", "p", "adds", "keeps"),
    [
        (0.05, (0.02, 0.08), 0.01, "confirmed", "confirmed"),
        (0.05, (0.001, 0.10), 0.20, "open", "confirmed"),  # not sure enough among all that was asked
        (-0.05, (-0.08, -0.02), 0.01, "refuted", "refuted"),
        (0.0, (-0.006, 0.006), 0.90, "refuted", "confirmed"),  # less than a point is as good as nothing
        (0.0, (-0.03, 0.03), 0.90, "open", "open"),
        (-0.02, (-0.035, -0.012), 0.30, "refuted", "refuted"),
        (0.05, None, None, "open", "open"),  # too few bases
    ],
)
def test_a_claim_is_confirmed_refuted_or_open(value, both, p, adds, keeps):
    row = {"value": value, "both": both}
    assert (verdict(ADDS, row, p), verdict(KEEPS, row, None)) == (adds, keeps)


def test_questions_name_the_sizes_of_the_votes_that_there_are():
    asked = QUESTIONS["more-votes"].filled(4, 16)
    assert (asked.claim, asked.after, asked.before) == (
        "16 votes add to 4, after RL",
        "main/rl/plain/16",
        "main/rl/plain/4",
    )
    filled = [one.filled(8, 32) for one in QUESTIONS.values()]
    assert not any("{" in text for one in filled for text in (one.claim, one.after, one.before))
    assert QUESTIONS["escalation"].filled(8, 32).after == "escalated/base/95/8"
