"""The vote of a jury, against fractions worked out by hand."""

from dataclasses import replace
from fractions import Fraction

import pytest

from rubrics.samples import of
from spct.errors import InputError
from spct.types import Judgment, Problem
from spct.voting.by_juror import jury_table, moments_of
from spct.voting.jury import BLOCKS, Juror, Jury
from spct.voting.rows import samples_by_block
from spct.voting.vote import decide

TEN = (1.0, 10.0)


def said(juror, index, *scores, valid=True):
    return Judgment(
        index=index,
        order=tuple(range(len(scores))),
        seed=0,
        text="",
        finish_reason="stop",
        scores=scores if valid else None,
        problem=None if valid else Problem("no_box", "no box"),
        block=juror * BLOCKS,
    )


def jurors(*weights, k=2, scale=TEN, moments=None):
    return tuple(
        Juror("abc"[place], place, k, Fraction(weight), scale, moments=moments and moments[place])
        for place, weight in enumerate(weights)
    )


JUDGMENTS = [said(0, 0, 8, 4), said(0, 1, 6, 5), said(1, 0, 3, 9), said(1, 1, 2, 8)]


def table(jury, judgments=JUDGMENTS, n=2):
    return jury_table(samples_by_block(judgments), n, jury)


def test_raw_scores_are_averaged_by_weight_whatever_each_made():
    found = table(Jury(jurors(1, 2)))
    assert found.exact_N == ((7 + 2 * Fraction(5, 2)) / 3, (Fraction(9, 2) + 2 * Fraction(17, 2)) / 3)
    assert found.rows == ([(8 + 2 * 3) / 3, (4 + 2 * 9) / 3], [(6 + 2 * 2) / 3, (5 + 2 * 8) / 3])
    once = table(Jury(jurors(1, 2)), [*JUDGMENTS[:2], said(1, 0, 3, 9)])
    assert once.exact_N == ((7 + 2 * 3) / Fraction(3), (Fraction(9, 2) + 2 * 9) / 3)
    assert [sum(row[i] for row in once.rows) / 2 for i in (0, 1)] == pytest.approx(list(map(float, once.exact_N)))


def test_judgments_beyond_a_jurors_k_do_not_count():
    found = table(Jury(jurors(1, 2, k=2)).up_to(1))
    assert found.exact_N == ((8 + 2 * Fraction(3)) / 3, (4 + 2 * Fraction(9)) / 3)
    assert [(result.valid, result.k) for result in found.results] == [(1, 1), (1, 1)]


def test_each_juror_has_its_own_vote():
    a, b = table(Jury(jurors(1, 2))).results
    assert (a.name, a.means, a.leaders, a.valid, a.asked, a.counted) == ("a", (7, 4.5), (0,), 2, 2, True)
    assert (b.means, b.leaders, b.weight) == ((2.5, 8.5), (1,), 2)
    assert 0.5 < a.confidence < b.confidence < 1


def test_ranks_within_each_judgment():
    judgments = [said(0, 0, 9, 9, 1), said(1, 0, 1, 2, 3)]
    found = table(Jury(jurors(1, 1, k=1), "rank"), judgments, n=3)
    assert found.exact_N == (Fraction(3, 8), Fraction(5, 8), Fraction(1, 2))


def test_standardised_scores_are_less_the_mean_over_the_deviation():
    jury = Jury(jurors(1, 1, moments=((5.0, 2.0), (6.0, 4.0))), "standardised")
    assert table(jury).exact_N == ((1 + Fraction(-7, 8)) / 2, (Fraction(-1, 4) + Fraction(5, 8)) / 2)
    assert moments_of([[1, 3], [None, 5]], "a") == (3, pytest.approx(1.6329932))
    with pytest.raises(InputError, match="the judge 'a' gives every response the same score"):
        moments_of([[3, 3], [3]], "a")
    with pytest.raises(InputError, match="not standardised yet"):
        table(Jury(jurors(1, 1), "standardised"))


def test_a_juror_without_a_vote_is_left_out_and_named():
    lost = [*JUDGMENTS[:2], said(1, 0, 0, 0, valid=False)]
    found = table(Jury(jurors(1, 2)), lost)
    assert found.exact_N == (7, Fraction(9, 2)) and found.missing == ("b",)
    verdict = decide(lost, id="a", n=2, k=2, jury=Jury(jurors(1, 2)))
    assert "the vote is of a: scores as they are; no vote of b, left out" in str(verdict)
    nobody = decide([said(0, 0, 0, 0, valid=False)], id="a", n=2, k=2, jury=Jury(jurors(1, 2)))
    assert nobody.best is None and nobody.error.type == "NoValidJudgment"


def test_a_juror_whose_judgments_have_no_ranks_is_left_out_and_named():
    parts = [replace(said(1, index, score), order=(index,)) for index, score in enumerate((3, 9))]
    ranked = Jury(jurors(1, 2), "rank")
    found = table(ranked, [*JUDGMENTS[:2], *parts])
    assert [result.means for result in found.results] == [(7.0, 4.5), (3.0, 9.0)]
    assert [result.counted for result in found.results] == [True, False]
    assert found.exact_N == (1, 0) and found.missing == ("b",)
    nobody = decide(parts, id="a", n=2, k=2, jury=ranked)
    assert nobody.jury.exact_N == () and nobody.jury.missing == ("a", "b")
    assert "the 2 judgments score every response, and none of them can be voted on" in nobody.error.message


def test_the_rows_of_a_rubric_stand_with_the_samples_that_they_are_of():
    judge, other = jurors(1, 1, k=3, scale=(0.0, 1.0))
    answers = [said(0, 0, 0, 0, valid=False), said(0, 1, 1, 0), said(0, 2, 0, 1)]
    others = [said(1, 0, 0, 0), said(1, 1, 1, 0), said(1, 2, 0, 1)]
    found = table(Jury((replace(judge, rubric=of({"id": "a"})), other)), [*answers, *others])
    assert found.rows == ([0.25, 0.25], [1.0, 0.0], [0.0, 1.0])


def test_ties_of_a_jury_are_exact():
    thirds = [said(0, 0, 1, 2), said(1, 0, 2, 1), said(2, 0, 1, 1)]
    verdict = decide(thirds, id="a", n=2, k=1, jury=Jury(jurors(1, 1, 1, k=1)))
    assert verdict.tied == (0, 1) and verdict.means == (4 / 3, 4 / 3)


@pytest.mark.parametrize("below, escalated, means", [(0.5, False, (7, 4.5)), (1.0, True, (2.5, 8.5))])
def test_escalation_takes_the_vote_of_one_or_the_other(below, escalated, means):
    found = table(Jury(jurors(1, 1), "escalate", below))
    assert (found.escalated, tuple(map(float, found.exact_N))) == (escalated, means)
    assert [result.counted for result in found.results] == [not escalated, escalated]


def test_escalation_to_one_that_has_no_vote_falls_back_and_says_so():
    found = table(Jury(jurors(1, 1), "escalate", 1.0), [*JUDGMENTS[:2], said(1, 0, 0, 0, valid=False)])
    assert found.exact_N == (7, Fraction(9, 2)) and found.missing == ("b",) and found.escalated


def test_one_that_is_not_called_in_is_not_missing():
    found = table(Jury(jurors(1, 1), "escalate", 0.5), JUDGMENTS[:2])
    assert (found.escalated, found.missing, found.results[1].asked) == (False, (), 0)


def test_a_single_response_has_no_confidence_and_is_handed_on():
    found = table(Jury(jurors(1, 1), "escalate", 0.1), [said(0, 0, 8), said(1, 0, 3)], n=1)
    assert found.escalated and found.exact_N == (3,)


@pytest.mark.parametrize("make, said_of", [
    (lambda: Jury(()), "got a jury of nobody"),
    (lambda: Jury((*jurors(1), *jurors(1))), "each once"),
    (lambda: Jury(jurors(1, 0)), "weight must be above 0"),
    (lambda: Jury(jurors(1, 1, 1), "escalate", 0.5), "from one judge to another; got a, b, c"),
    (lambda: Jury(jurors(1, 1), "escalate"), "below is None"),
    (lambda: Jury((*jurors(1), Juror("z", 1, 2, scale=(0, 1)))), r"\(a 1 to 10, z 0 to 1\) do not add up"),
    (lambda: Jury(jurors(1, 1), "best"), "comparable is 'best'"),
    (lambda: Jury(jurors(1, 1)).only(["a", "x"]), "no judge 'x' in this run; there are a, b"),
])  # fmt: skip
def test_juries_that_cannot_be(make, said_of):
    with pytest.raises(InputError, match=said_of):
        make()


def test_a_jury_is_its_row():
    jury = Jury(jurors(1, 2.5), "escalate", 0.9)
    assert Jury.of_row(jury.as_row()) == jury
