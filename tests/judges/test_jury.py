"""Several judges on every item: who is asked, what is kept, whose vote counts."""

from dataclasses import replace
from fractions import Fraction

import pytest

from judges.judging import Remembers, item, shown
from judges.test_rubric import first_is_good
from rubrics.samples import of
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import InputError, RejectedError
from spct.judges import judge_of
from spct.judges.jury import JuryJudge, Member
from spct.judges.settings import judge_settings
from spct.voting.jury import BLOCKS


def scoring(*scores):
    return ScriptedEngine(lambda request, j: judgment_text([scores[i] for i in shown(request)], f"{request.seed + j}"))


def unsure(request, j):
    """Prefers whatever it is shown first."""
    return judgment_text([6, 5], f"{request.seed + j}")


def member(name, engine, weight=1, **settings):
    return Member(name, judge_of(engine, judge_settings(**{"k": 2} | settings)), Fraction(weight))


async def test_judges_vote_by_their_weights_each_with_its_own_k():
    jury = JuryJudge([member("weak", scoring(8, 4), k=4), member("strong", scoring(2, 9), 3, k=2)])
    verdict = await jury.judge(item(2))
    assert verdict.means == ((8 + 3 * 2) / 4, (4 + 3 * 9) / 4) and verdict.best == 1
    assert [(r.name, r.valid, r.k) for r in verdict.jury.results] == [("weak", 4, 4), ("strong", 2, 2)]
    assert sorted({j.block for j in verdict.judgments}) == [0, BLOCKS]
    assert verdict.k == jury.settings.k == 4 and verdict.usage.requests == 4


@pytest.mark.parametrize("engine, handed_on, best", [(scoring(9, 2), False, 0), (ScriptedEngine(unsure), True, 1)])
async def test_the_second_is_asked_only_where_the_first_is_unsure(engine, handed_on, best):
    strong = scoring(1, 9)
    jury = JuryJudge([member("weak", engine), member("strong", strong)], comparable="escalate", below=0.9)
    verdict = await jury.judge(item(2))
    assert (verdict.jury.escalated, verdict.best, bool(strong.requests)) == (handed_on, best, handed_on)
    assert verdict.jury.missing == ()
    told = "handed on" if handed_on else "kept"
    assert f"so the item was {told}" in str(verdict)


@pytest.mark.parametrize("comparable", ["raw", "rank"])
async def test_a_resumed_jury_asks_nothing_twice(comparable):
    def made():
        rubric = of({"id": "good", "weight": 2}, {"id": "short", "check": {"max_chars": 5}})
        return [
            member("one", scoring(8, 4, 7)),
            member("two", ScriptedEngine(first_is_good), rubric=rubric),
        ] if comparable == "rank" else [member("one", scoring(8, 4, 7)), member("two", scoring(3, 4, 5), k=3)]  # fmt: skip

    whole = Remembers()
    verdict = await JuryJudge(made(), comparable=comparable).judge(item(3), whole)
    parts = [judgments for judgments, *_ in whole.requests]
    for cut in range(len(parts) + 1):
        memory = Remembers([j for part in parts[:cut] for j in part])
        again = await JuryJudge(made(), comparable=comparable).judge(item(3), memory)
        assert again.as_row() == verdict.as_row()
        assert len(memory.requests) == len(parts) - cut


async def test_a_judge_that_fails_is_left_out_and_all_that_fail_are_an_error():
    def broken():
        return ScriptedEngine(lambda request, j: RejectedError("too hot"))

    verdict = await JuryJudge([member("a", broken()), member("b", scoring(3, 7))]).judge(item(2))
    assert verdict.best == 1 and verdict.means == (3, 7) and verdict.jury.missing == ("a",)
    assert [(r.name, r.means, r.counted) for r in verdict.jury.results] == [("a", None, False), ("b", (3, 7), True)]
    a, b = verdict.as_row()["jury"]["jurors"]
    assert (a["error"], b["error"]) == ({"type": "RejectedError", "message": "too hot"}, None)
    assert "no vote of a, left out; a: RejectedError: too hot" in str(verdict)
    nobody = await JuryJudge([member("a", broken()), member("b", ScriptedEngine(["?"]), k=1, retries=0)]).judge(item(2))
    assert nobody.best is None and nobody.error.type == "NoValidJudgment"
    assert nobody.error.message.startswith("a: RejectedError: too hot; b: NoValidJudgment: none of the 1 judgments")


async def test_a_judge_that_fails_midway_votes_by_what_it_made_and_its_error_is_kept():
    answers = [judgment_text([9, 1]), RejectedError("too\nhot")]
    jury = JuryJudge([member("a", ScriptedEngine(answers)), member("b", scoring(3, 5))])
    verdict = await jury.judge(item(2))
    assert [(r.valid, r.counted, r.error and r.error.type) for r in verdict.jury.results] == [
        (1, True, "RejectedError"), (2, True, None)
    ]  # fmt: skip
    assert "; a: RejectedError: too hot, after 1 of 2 judgments" in str(verdict)


def test_what_a_jury_says_of_itself():
    jury = JuryJudge([member("a", scoring(1, 2)), member("b", scoring(1, 2), 2, template="judge")], comparable="rank")
    described = jury.describe()
    assert [j["weight"] for j in described["jury"]["jurors"]] == [1, 2]
    assert described["jurors"]["b"]["template"] == "judge"
    assert "b/judge" in jury.templates and jury.settings.jury.scale == (0, 1)


@pytest.mark.parametrize("members, options, said", [
    (lambda: [member("a", scoring(1, 2)), member("b", scoring(1, 2), template="judge")], {}, "different scales"),
    (lambda: [member("a", scoring(1, 2))], {"comparable": "standardised"}, "take the whole run"),
    (lambda: [member("a", scoring(1, 2), adaptive=0.9)], {}, "knows no meta RM, adaptive k or rule expected"),
    (lambda: [member("a", scoring(1, 2))] * 2, {}, "each once"),
])  # fmt: skip
def test_juries_that_cannot_be(members, options, said):
    with pytest.raises(InputError, match=said):
        JuryJudge(members(), **options)


def test_settings_are_the_jurys_own():
    settings = judge_settings(k=9, seed=3, tie_rule="first")
    made = JuryJudge([member("a", scoring(1, 2))], settings=settings).settings
    assert (made.k, made.seed, made.tie_rule) == (2, 3, "first")
    assert replace(made, jury=None) == judge_settings(k=2, seed=3, tie_rule="first")
