"""The arithmetic of a rubric, against fractions worked out by hand and by a naive loop."""

import random
from fractions import Fraction

import pytest

from rubrics.samples import of, rubric
from spct.types import Judgment, Problem
from spct.voting.by_criterion import criteria_of
from spct.voting.criteria import criteria_rows, missing_sentence
from spct.voting.rows import samples_by_block
from spct.voting.vote import decide


def answer(place, index, *scores, problem=None):
    return Judgment(
        index=index,
        order=tuple(range(len(scores))),
        seed=0,
        text=f"{place} {index}",
        finish_reason="stop",
        scores=None if problem else scores,
        problem=problem,
        block=place,
    )


def invalid(place, index, n=2):
    return answer(place, index, *[0] * n, problem=Problem("no_box", "no box"))


def table(judgments, a_rubric, n=2, k=2):
    return criteria_of(samples_by_block(judgments), n, a_rubric, k)


REPLIES = [
    answer(0, 0, 5, 2), answer(0, 1, 4, 3),
    answer(1, 0, 1, 0), answer(1, 1, 0, 0),
    answer(2, 0, 1, 3), answer(2, 1, 2, 3),
    answer(3, 0, 1, 0), answer(4, 0, 1, 1),
]  # fmt: skip


def test_totals_are_the_weighted_worth_of_the_answers(tmp_path):
    found = table(REPLIES, rubric(tmp_path))
    # correct (4.5 - 1) / 4 of 3, jargon 1/2 of -1, tone (1 + 1/2) / 2 of 1, short 1 of 1, valid 1 of 2
    first = Fraction(7, 8) * 3 - Fraction(1, 2) + Fraction(3, 4) + 1 + 2
    second = Fraction(3, 8) * 3 - 0 + 0 + 0 + 2
    assert (found.least, found.most) == (-1, 7)
    assert found.points == (float(first), float(second)) == (5.875, 3.125)
    assert found.shares == ((first + 1) / 8, 0)  # the second fails the gate: a mean of 2.5 on correct is below 3
    assert found.failed == ((), ("correct",)) and found.passed == (True, False)
    correct, jargon, tone, short, valid = found.results
    assert (correct.means, correct.worth, correct.valid, correct.k) == ((4.5, 2.5), (0.875, 0.375), 2, 2)
    assert correct.spread == pytest.approx((0.1767767, 0.1767767))
    assert (jargon.worth, jargon.spread) == ((0.5, 0.0), (pytest.approx(0.7071068), 0.0))
    assert (tone.worth, tone.passed) == ((0.75, 0.0), None)
    assert (short.valid, short.k, short.confidence, short.spread) == (1, 1, None, (None, None))
    assert valid.passed == (True, True)
    assert 0.5 < correct.confidence < 1


def test_the_share_needed_to_pass_counts_too(tmp_path):
    judgments = [answer(0, 0, 3, 5), answer(1, 0, 1, 0), answer(2, 0, 3, 1), answer(3, 0, 0, 1), answer(4, 0, 1, 1)]
    found = table(judgments, rubric(tmp_path), k=1)
    assert found.shares == (Fraction(35, 80), 1)  # 3/2 - 1 + 0 + 0 + 2 = 2.5, and all
    assert found.failed == ((), ()) and found.passed == (False, True)


def test_a_criterion_without_a_valid_answer_is_missing_and_never_0(tmp_path):
    judgments = [j for j in REPLIES if j.block not in (1, 2)] + [invalid(1, 0), invalid(2, 0), invalid(2, 1)]
    found = table(judgments, rubric(tmp_path))
    assert found.missing == ("jargon", "tone")
    assert (found.least, found.most) == (0, 6)
    assert found.points == (5.625, 3.125)
    assert found.shares[0] == Fraction(45, 48)
    assert found.results[1].worth is None and found.results[1].valid == 0
    assert missing_sentence(found) == (
        "2 criteria have no valid answer and are left out, not counted as 0: jargon, tone; answers to them would not "
        "change who leads by points"
    )
    assert found.vectors() == (
        {"correct": 0.875, "short": 1.0, "valid": 1.0},
        {"correct": 0.375, "short": 0.0, "valid": 1.0},
    )


def test_a_missing_criterion_that_outweighs_the_lead_may_change_it():
    a_rubric = of({"id": "a"}, {"id": "b", "weight": 2})
    found = table([answer(0, 0, 1, 0), invalid(1, 0)], a_rubric, k=1)
    assert found.shares == (1, 0)
    assert missing_sentence(found).endswith("b; answers to it could change who leads")
    as_much = table([answer(0, 0, 1, 0), invalid(1, 0)], of({"id": "a"}, {"id": "b"}), k=1)
    assert missing_sentence(as_much).endswith("b; answers to it could change who leads")  # to a tie


def test_a_gate_without_an_answer_is_undecided():
    a_rubric = of({"id": "a"}, {"id": "b", "gate": True}, threshold=0.5)
    assert table([answer(0, 0, 1, 0), invalid(1, 0)], a_rubric, k=1).passed == (None, False)


@pytest.mark.parametrize("gate, answers, passes", [
    (True, [1, 1, 0], True), (True, [1, 0], False), (True, [0, 0, 1], False),
    (False, [0, 0, 1], True), (False, [1, 0], False), (0.5, [1, 0], True), (0.6, [1, 0], False),
])  # fmt: skip
def test_gates_go_by_most_answers_or_by_a_share(gate, answers, passes):
    a_rubric = of({"id": "a", "gate": gate}, {"id": "b"})
    judgments = [answer(0, i, value) for i, value in enumerate(answers)] + [answer(1, 0, 1)]
    found = table(judgments, a_rubric, n=1, k=3)
    assert found.passed == (passes,) and found.failed == (() if passes else ("a",),)
    assert (found.shares[0] > 0) is passes


def test_nothing_answered_is_no_verdict_with_the_reason():
    verdict = decide([invalid(0, 0), invalid(0, 1)], id="a", n=2, k=2, rubric=of({"id": "a"}))
    assert verdict.best is None and verdict.error.type == "NoValidJudgment"
    assert verdict.criteria.missing == ("a",) and verdict.as_row()["criteria"]["points"] == ()


def test_equal_points_are_a_tie_whatever_their_parts_round_to():
    # 0.1 + 0.2 and 0.3 differ as floating-point numbers
    a_rubric = of({"id": "a", "weight": 0.1}, {"id": "b", "weight": 0.2}, {"id": "c", "weight": 0.3})
    judgments = [answer(0, 0, 1, 0), answer(1, 0, 1, 0), answer(2, 0, 0, 1)]
    verdict = decide(judgments, id="a", n=2, k=1, rubric=a_rubric)
    assert verdict.tied == (0, 1) and verdict.means == (0.5, 0.5)


def test_equal_means_are_a_tie_whatever_their_samples_round_to():
    # 0 + 0 + 0.3 and three times 0.1 have different means as floating-point numbers
    a_rubric = of({"id": "a", "kind": "scale", "scale": [0, 10]})
    judgments = [answer(0, i, first, 1) for i, first in enumerate((0, 0, 3))]
    assert decide(judgments, id="a", n=2, k=3, rubric=a_rubric).tied == (0, 1)


def test_the_mean_over_the_rows_is_the_share_with_answers_missing_and_unequal_in_number():
    draw = random.Random(7)
    for _ in range(200):
        weights = [draw.choice([-2, -0.5, 0.1, 1, 3]) for _ in range(3)]
        if sum(weights) == 0:
            continue
        a_rubric = of(*({"id": id, "weight": w} for id, w in zip("abc", weights, strict=True)))
        valid = {(place, i): [draw.randint(0, 1) for _ in range(3)] for place in range(3) for i in range(4)
                 if i == 0 or draw.random() < 0.7}  # fmt: skip
        found = table([answer(p, i, *scores) for (p, i), scores in valid.items()], a_rubric, n=3, k=4)
        least, most = sum(w for w in weights if w < 0), sum(w for w in weights if w > 0)
        for i in range(3):
            total = 0.0
            for place, weight in enumerate(weights):
                answers = [scores[i] for (p, _), scores in valid.items() if p == place]
                total += weight * sum(answers) / len(answers)
            assert found.points[i] == pytest.approx(total)
            assert float(found.shares[i]) == pytest.approx((total - least) / (most - least))
            assert sum(row[i] for row in found.rows) / len(found.rows) == pytest.approx(float(found.shares[i]))
            assert 0 <= found.shares[i] <= 1


def test_a_later_valid_attempt_takes_the_place_of_an_invalid_one():
    a_rubric = of({"id": "a"})
    first = invalid(0, 0)
    assert table([first, answer(0, 0, 1, 0)], a_rubric).results[0].worth == (1.0, 0.0)


def test_the_table_for_people(tmp_path):
    verdict = decide(REPLIES, id="a", n=2, k=2, rubric=rubric(tmp_path))
    assert criteria_rows(verdict.criteria, verdict.ranking) == [
        ("criterion", "weight", "valid", "response 0", "response 1"),
        ("correct", "3", "2/2", "4.5 (0.88) passes", "2.5 (0.38) fails"),
        ("jargon", "-1", "2/2", "0.5 (0.50)", "0 (0.00)"),
        ("tone", "1", "2/2", "1.5 (0.75)", "3 (0.00)"),
        ("short", "1", "1/1", "1 (1.00)", "0 (0.00)"),
        ("valid", "2", "1/1", "1 (1.00) passes", "1 (1.00) passes"),
        ("points", "-1 to 7", "", "5.88", "3.12"),
        ("passed", "", "", "yes", "no"),
    ]
    assert "correct" in str(verdict) and "share of the points of support-reply" in str(verdict)
    assert "<td" in verdict._repr_html_() and "2.5 (0.38) fails" in verdict._repr_html_()
