"""A judge by a rubric: what it asks, what it keeps, and what the answers come to."""

import asyncio
import re
from dataclasses import replace
from fractions import Fraction

import pytest

from judges.judging import NAMES, Remembers, item, shown
from rubrics.samples import of, rubric
from spct.engines.engine import Capabilities
from spct.engines.scripted import ScriptedEngine
from spct.errors import InputError, RejectedError
from spct.judges import judge_of, load_judge
from spct.judges.rubric import RubricJudge, checked
from spct.judges.rubric_prompts import criterion_template, question
from spct.judges.settings import judge_settings
from spct.types import Problem

CORRECT = [5, 2, 4, 1, 3]
JARGON = [0, 1, 1, 0, 0]
TONE = [1, 3, 2, 2, 1]
ASKED = {"right?": CORRECT, "would not know?": JARGON, "address the customer?": TONE}
WORTH_OF_TONE = {1: Fraction(1), 2: Fraction(1, 2), 3: Fraction(0)}


def answers(request, j):
    text = request.messages[-1].content
    tables = [values for asked, values in ASKED.items() if asked in text]
    said = ", ".join(str(values[i]) for values in tables for i in shown(request))
    return f"#### Analysis\nsample {request.seed + j}\n#### Scores\n\\boxed{{{said}}}"


def first_is_good(request, j):
    return rf"\boxed{{{', '.join(str(int(i == 0)) for i in shown(request))}}}"


def judge(folder, engine=None, **settings):
    engine = engine or ScriptedEngine(answers)
    return judge_of(engine, judge_settings(rubric=rubric(folder), **{"k": 2} | settings))


@pytest.mark.parametrize("criteria", ["separate", "joint"])
async def test_scripted_answers_give_the_totals_worked_out_by_hand(criteria, tmp_path):
    made = judge(tmp_path, criteria=criteria, k=4)
    an_item = item(5, responses=tuple(f'{{"reply": "{name}"}}' for name in NAMES))
    verdict = await made.judge(an_item)
    expected = [
        3 * Fraction(correct - 1, 4) - jargon + WORTH_OF_TONE[tone] + 1 + 2  # all of them are short and valid JSON
        for correct, jargon, tone in zip(CORRECT, JARGON, TONE, strict=True)
    ]
    assert expected == [7, Fraction(11, 4), Fraction(19, 4), Fraction(7, 2), Fraction(11, 2)]
    assert verdict.criteria.points == tuple(map(float, expected))
    assert verdict.criteria.failed == ((), ("correct",), (), ("correct",), ())
    gated = [0 if failed else (points + 1) / 8 for points, failed in
             zip(expected, verdict.criteria.failed, strict=True)]  # fmt: skip
    assert verdict.means == tuple(map(float, gated))
    assert (verdict.best, verdict.ranking[:3]) == (0, (0, 4, 2))
    assert verdict.criteria.passed == (True, False, True, False, True)


@pytest.mark.parametrize("criteria, requests, samples", [("separate", 6, 12), ("joint", 2, 4)])
async def test_what_is_asked(criteria, requests, samples, tmp_path):
    made = judge(tmp_path, criteria=criteria, k=4)
    verdict = await made.judge(item(2))
    asked = made.engine.requests
    assert (len(asked), sum(request.n for request in asked)) == (requests, samples)
    assert [result.valid for result in verdict.criteria.results] == [4, 4, 4, 1, 1]
    assert sorted(map(str, {tuple(shown(request)) for request in asked})) == ["(0, 1)", "(1, 0)"]


async def test_prompts_of_one_order_are_the_same_up_to_the_question(tmp_path):
    made = judge(tmp_path, k=1)
    await made.judge(item(3))
    texts = [request.messages[-1].content for request in made.engine.requests]
    common = texts[0][: next(i for i, chars in enumerate(zip(*texts, strict=False)) if len(set(chars)) > 1)]
    assert common.rstrip().endswith("[End response 3 k7n9]")
    assert len({request.seed for request in made.engine.requests}) == 3


async def test_a_criterion_may_be_asked_fewer_times():
    a_rubric = of({"id": "often"}, {"id": "once", "k": 1}, {"id": "many", "k": 9})
    made = judge_of(ScriptedEngine(first_is_good), judge_settings(rubric=a_rubric, k=3))
    verdict = await made.judge(item(2))
    assert [(r.valid, r.k) for r in verdict.criteria.results] == [(3, 3), (1, 1), (3, 3)]
    assert verdict.means == (1.0, 0.0) and len(verdict.criteria.rows) == 3


def test_what_a_question_says():
    scale = of({"id": "a", "kind": "scale", "scale": [0, 2], "anchors": {"0": "no", "2": "fully"}, "ask": "How far?"})
    assert question(scale.criteria[0]) == (
        "How far?\nAnswer for every response with a whole number from 0 to 2.\n0: no\n2: fully"
    )
    choice = of({"id": "a", "kind": "choice", "choices": {"warm": 1, "cold": 0}, "ask": "Which tone?"})
    assert question(choice.criteria[0]) == (
        "Which tone?\nAnswer for every response with the number of the one choice that fits best.\n1: warm\n2: cold"
    )


@pytest.mark.parametrize("ask", ['{{ tag }} "quoted" {% raw %}', "back\\slash \\n", "zwei\nZeilen – 😀", "{# gone #}"])
def test_a_question_is_put_as_it_is_written(ask):
    template = criterion_template(of({"id": "a", "ask": ask}).criteria[0])
    assert ask in template.render(item(2), (0, 1))[-1].content


async def test_an_answer_off_its_own_scale_is_invalid_and_says_which(tmp_path):
    made = judge(tmp_path, ScriptedEngine(lambda request, j: r"\boxed{5, 2, 0, 2, 1, 1}"), criteria="joint", retries=0)
    verdict = await made.judge(item(2))
    problems = {j.problem.detail for j in verdict.judgments if j.problem}
    assert problems == {"the answers to question 2 are 0, 2; expected 2 integers from 0 to 1"}
    assert verdict.criteria.missing == ("correct", "jargon", "tone")


async def test_a_retried_joint_answer_counts_once(tmp_path):
    def second_time(request, j):
        return "no box" if request.seed % 65536 // 4096 % 2 == base else answers(request, j)

    probe = judge(tmp_path, criteria="joint", k=1)
    await probe.judge(item(2))
    base = probe.engine.requests[0].seed % 65536 // 4096 % 2
    made = judge(tmp_path, ScriptedEngine(second_time), criteria="joint", k=1)
    verdict = await made.judge(item(2))
    assert verdict.criteria.missing == () and verdict.invalid == 1
    assert [result.valid for result in verdict.criteria.results] == [1] * 5


@pytest.mark.parametrize("criteria", ["separate", "joint"])
async def test_a_run_cut_off_anywhere_is_gone_on_with(criteria, tmp_path):
    whole = Remembers()
    made = judge(tmp_path, criteria=criteria, k=3)
    verdict = await made.judge(item(2), whole)
    parts = [judgments for judgments, *_ in whole.requests]
    for cut in range(len(parts) + 1):
        again = judge(tmp_path, criteria=criteria, k=3)
        memory = Remembers([j for part in parts[:cut] for j in part])
        assert (await again.judge(item(2), memory)).as_row() == verdict.as_row()
        assert len(memory.requests) == len(parts) - cut


async def test_equal_responses_are_asked_about_once(tmp_path):
    made = judge(tmp_path, k=2)
    verdict = await made.judge(item(3, responses=(NAMES[0], NAMES[1], NAMES[0])))
    assert {len(shown(request)) for request in made.engine.requests} == {2}
    assert verdict.criteria.points[0] == verdict.criteria.points[2] != verdict.criteria.points[1]


async def test_a_check_that_raises_leaves_its_criterion_out(tmp_path):
    (tmp_path / "own.py").write_text("def even(item, response):\n    return 1 / (len(response) - 5) > 0\n")
    a_rubric = of({"id": "good"}, {"id": "even", "check": {"python": f"{tmp_path}/own.py:even"}})
    made = judge_of(ScriptedEngine(first_is_good), judge_settings(rubric=a_rubric, k=1))
    verdict = await made.judge(item(2))  # ALPHA and BRAVO have 5 letters
    failed = next(j for j in verdict.judgments if j.block == 1)
    assert failed.problem.code == "check_failed" and "raised ZeroDivisionError" in failed.problem.detail
    assert verdict.criteria.missing == ("even",) and verdict.means == (1.0, 0.0)
    assert "could change who leads" in str(verdict)


async def test_a_check_that_could_not_say_is_made_again_and_another_is_not(tmp_path):
    mended = tmp_path / "own.py"
    mended.write_text("def mended(item, response):\n    return True\n")
    checks = of({"id": "own", "check": {"python": f"{mended}:mended"}}, {"id": "short", "check": {"max_chars": 9}})
    made = judge_of(ScriptedEngine([]), judge_settings(rubric=checks))
    failed = replace(checked(item(2), checks.criteria[0], 0), scores=None, problem=Problem("check_failed", "raised"))
    whole = replace(checked(item(2), checks.criteria[1], 1), text="from an earlier session")
    memory = Remembers([failed, whole])
    verdict = await made.judge(item(2), memory)
    assert [judgments[0].block for judgments, *_ in memory.requests] == [0]
    assert verdict.criteria.points == (2, 2) and verdict.judgments[1].text == "from an earlier session"


async def test_a_rubric_of_checks_asks_nothing():
    a_rubric = of({"id": "short", "check": {"max_chars": 5}})
    engine = ScriptedEngine([])
    verdict = await judge_of(engine, judge_settings(rubric=a_rubric)).judge(item(4))
    assert verdict.means == (1.0, 1.0, 0.0, 1.0) and engine.requests == []


async def test_an_item_that_the_server_rejects_keeps_what_there_is_of_it(tmp_path):
    def half(request, j):
        return answers(request, j) if "right?" in request.messages[-1].content else RejectedError("too hot")

    verdict = await judge(tmp_path, ScriptedEngine(half)).judge(item(2))
    assert verdict.best is None and verdict.error.type == "RejectedError"
    assert {j.block for j in verdict.judgments} >= {3, 4}


@pytest.mark.parametrize("criteria", ["separate", "joint"])
async def test_the_grammar_holds_every_answer_to_its_own_scale(criteria, tmp_path):
    engine = ScriptedEngine(answers, capabilities=Capabilities(seeding="sample", grammar="gbnf"))
    await judge(tmp_path, engine, criteria=criteria, k=1).judge(item(2))
    grammars = [request.grammar for request in engine.requests]
    if criteria == "joint":
        (text,) = grammars
        assert 'score-aa ", " score-aa ", " score-ab ", " score-ab ", " score-ac ", " score-ac' in text
        assert 'score-ab ::= "0" | "1"' in text and 'score-ac ::= "1" | "2" | "3"' in text
        assert text.count('"Response 2: " paragraph') == 1 and "Response 3" not in text
    else:
        assert ['score ::= "1" | "2" | "3" | "4" | "5"' in text for text in grammars] == [True, False, False]


def test_what_a_rubric_cannot_be_with(tmp_path):
    engine = ScriptedEngine(answers)
    with pytest.raises(InputError, match="the judge rubric has no rubric; name one with --rubric"):
        load_judge("rubric", engine)
    for settings in ({"adaptive": 0.9}, {"rule": "expected"}, {"principles": "query"}, {"block_size": 2}):
        with pytest.raises(InputError, match="the judge rubric knows no"):
            judge(tmp_path, **settings)
    with pytest.raises(InputError, match="prompts of its own; drop --template judge"):
        judge(tmp_path, template="judge")
    for kind in ("grm", "pairwise", "llm-judge"):
        with pytest.raises(InputError, match="rubric"):
            load_judge(kind, engine, judge_settings(rubric=rubric(tmp_path)))


def test_a_check_that_cannot_say_of_one_response_says_nothing_of_the_others():
    a_rubric = of({"id": "language", "check": {"language": "en"}})
    found = checked(item(2, responses=("This is plain English text.", "42")), a_rubric.criteria[0], 0)
    assert found.scores is None and found.problem.detail.startswith("response 1: ")


@pytest.mark.parametrize(("length", "most"), [(30_000, 2), (3, 6)])
async def test_a_large_item_is_asked_little_by_little_and_nothing_of_it_stays(length, most):
    """Two criteria in three orders are six prompts; an item of more than 250,000 characters has two under way."""
    now = peak = 0

    async def crowd(request, j):
        nonlocal now, peak
        now += 1
        peak = max(peak, now)
        await asyncio.sleep(0.01)
        now -= 1
        shown = re.findall(r"\[Begin response \d+ \w+\]\n(\d)", request.messages[-1].content)
        return rf"\boxed{{{', '.join(str(int(number == '0')) for number in shown)}}}"

    engine = ScriptedEngine(crowd, capabilities=Capabilities(seeding="sample", concurrency=16))
    made = judge_of(engine, judge_settings(rubric=of({"id": "a"}, {"id": "b"}), k=3))
    assert isinstance(made, RubricJudge)
    verdict = await made.judge(item(9, responses=tuple(f"{i} {'x' * length}" for i in range(9))))
    assert verdict.means == (1.0, *[0.0] * 8)
    assert peak == most
    assert all(not len(sampler.template._sealed) for sampler in made._samplers.values())
