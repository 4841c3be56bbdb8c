"""Answers of other forms become judgments like any others: votes, ties, expected scores, runs and reports hold."""

import contextlib
import json
from dataclasses import replace
from math import log

import pytest

from judges.judging import item, judged, logprob_engine, shown
from spct.engines.engine import Capabilities
from spct.engines.scripted import Sample, ScriptedEngine
from spct.errors import TemplateError
from spct.judges import load_judge
from spct.judges.jury import JuryJudge, Member
from spct.judges.settings import judge_settings
from spct.run import judge_items, opened_run
from spct.run.store import RunStore
from spct.run.stored import stored_settings
from spct.runs import Run
from spct.types import TokenLogprob
from spct.views.export import run_table

BODY = (
    "{{ query }}\n{% for number, text in responses %}\n[Response {{ number }}]\n{{ text }}\n{% endfor %}\n{{ form }}\n"
)


@pytest.fixture
def template(tmp_path):
    def write(front):
        path = tmp_path / "mine.jinja"
        path.write_text(f"---\n{front}\n---\n{BODY}", encoding="utf-8")
        return str(path)

    return write


def prefers(quality):
    """[[1]], [[2]] or [[tie]], by which of the two shown is better."""

    def script(request, j):
        first, second = (quality[i] for i in shown(request))
        return "#### Verdict\n" + ("[[tie]]" if first == second else "[[1]]" if first > second else "[[2]]")

    return script


async def test_a_choice_between_two_is_a_vote():
    verdict = await judged("grm", ScriptedEngine(prefers([1, 5])), item(2), k=4, template="pairwise-choice")
    assert [j.scores for j in verdict.judgments] == [(0, 1)] * 4
    assert (verdict.best, verdict.totals, verdict.tied) == (1, (0, 4), ())
    assert verdict.confidence > 0.9


async def test_ties_and_likings_for_a_place_are_half_a_point_each():
    tied = await judged("grm", ScriptedEngine(prefers([3, 3])), item(2), k=4, template="pairwise-choice")
    assert (tied.totals, tied.tied, tied.confidence) == ((2, 2), (0, 1), 0.5)
    first = await judged("grm", ScriptedEngine(lambda r, j: "[[1]]"), item(2), k=4, template="pairwise-choice")
    assert (first.totals, first.tied) == ((2, 2), (0, 1))


@pytest.mark.parametrize("judge", ["llm-judge", "pairwise"])
async def test_judges_of_choices_take_the_template(judge):
    verdict = await judged(judge, ScriptedEngine(prefers([1, 5])), item(2), k=2, template="pairwise-choice")
    assert (verdict.best, verdict.means) == (1, (0, 1))


async def test_the_pairwise_judge_asks_for_pairs_of_many():
    verdict = await judged("pairwise", ScriptedEngine(prefers([1, 5, 3, 3])), item(4), k=1, template="pairwise-choice")
    assert verdict.judgments[0].scores == (0, 3, 1.5, 1.5)


@pytest.mark.parametrize("n", [1, 3])
async def test_a_choice_between_two_refuses_other_numbers(n):
    with pytest.raises(TemplateError, match=f"a choice between two responses, got {n}"):
        await judged("grm", ScriptedEngine(prefers([1, 5, 3])), item(n), k=2, template="pairwise-choice")


async def test_two_equal_responses_are_both_shown_where_there_must_be_two():
    same = item(2, responses=("ALPHA", "ALPHA"))
    verdict = await judged("grm", ScriptedEngine(lambda r, j: "[[tie]]"), same, k=2, template="pairwise-choice")
    assert (verdict.totals, verdict.tied) == ((1, 1), (0, 1))


async def test_the_expected_scores_of_a_choice():
    def script(request, j):
        top = (("1", log(0.5)), ("tie", log(0.3)), ("2", log(0.2)))
        tokens = (TokenLogprob("[[", 0.0), TokenLogprob("1", log(0.5), top), TokenLogprob("]]", 0.0))
        return Sample("[[1]]", "stop", 0, logprobs=tokens)

    verdict = await judged("grm", logprob_engine(script), item(2), k=2, rule="expected", template="pairwise-choice")
    assert [j.expected for j in verdict.judgments] == [
        pytest.approx((0.65, 0.35) if j.order == (0, 1) else (0.35, 0.65)) for j in verdict.judgments
    ]
    assert verdict.means == pytest.approx((0.5, 0.5))


async def test_token_prob_reads_the_probability_of_the_labels():
    def script(request, j):
        top = (("1", log(0.6)), ("2", log(0.4)))
        tokens = (TokenLogprob("[[", 0.0), TokenLogprob("1", log(0.6), top), TokenLogprob("]]", 0.0))
        return Sample("[[1]]", "stop", 0, logprobs=tokens)

    verdict = await judged("token-prob", logprob_engine(script), item(2), k=1, template="pairwise-choice")
    assert verdict.judgments[0].scores == pytest.approx((0.6, 0.4))


GENRM = 'reader: {json: {scores: "score_{i}", critique: why}}\nscale: [1, 5]'


def scored_in_json(request, j):
    places = shown(request)
    return json.dumps({"why": "so"} | {f"score_{at}": 5 - i for at, i in enumerate(places, 1)})


@pytest.mark.parametrize(
    ("can", "asked"),
    [
        (Capabilities(seeding="sample"), (False, False)),
        (Capabilities(seeding="sample", json_schema="response_format"), (False, True)),
        (Capabilities(seeding="sample", grammar="gbnf"), (True, False)),
        (Capabilities(seeding="sample", grammar="gbnf", json_schema="response_format"), (True, False)),
    ],
)
async def test_a_schema_is_sent_where_there_is_no_grammar(template, can, asked):
    engine = ScriptedEngine(scored_in_json, capabilities=can)
    judge = load_judge("grm", engine, judge_settings(template=template(GENRM), k=2))
    verdict = await judge.judge(item(2))
    assert verdict.totals == (10, 8)
    (request, _) = engine.requests
    assert (request.grammar is not None, request.json_schema is not None) == asked
    described = judge.describe()
    assert described["grammar"] == can.grammar
    assert described.get("json_schema") == ("response_format" if asked[1] else None)
    if asked[1]:
        assert json.loads(request.json_schema)["required"] == ["why", "score_1", "score_2"]


async def test_no_grammar_means_no_schema_either(template):
    engine = ScriptedEngine(scored_in_json, capabilities=Capabilities(json_schema="response_format"))
    judge = load_judge("grm", engine, judge_settings(template=template(GENRM), k=1, grammar=False))
    await judge.judge(item(2))
    assert engine.requests[0].json_schema is None
    assert "json_schema" not in judge.describe()


async def test_decimals_hold_through_votes_and_runs(template, tmp_path):
    def script(request, j):
        return rf"\boxed{{{', '.join('7.5' if i else '8.25' for i in shown(request))}}}"

    settings = judge_settings(template=template("scale: [0, 10]\ndecimals: 2"), k=4, adaptive=0.99)
    judge = load_judge("grm", ScriptedEngine(script), settings)
    out = tmp_path / "run"
    with opened_run(out, judge, resume=False) as store:
        (outcome,) = [outcome async for outcome in judge_items(judge, [item(2)], in_flight=1, store=store)]
    with contextlib.closing(RunStore.open(out)) as store:
        assert {j.scores for _, judgments in store.judgments() for j in judgments} == {(8.25, 7.5)}
        assert stored_settings(store)[0]["template"].endswith("mine.jinja")
        assert store.templates()[settings.template].scale == (0, 10)
    assert (outcome.verdict.best, outcome.verdict.means) == (0, (8.25, 7.5))


async def test_the_lenient_reading_is_named_wherever_results_are(template, tmp_path):
    settings = judge_settings(template=template("reader: card"), k=1)
    judge = load_judge("grm", ScriptedEngine(lambda r, j: "Scores: [11, 7.5]"), settings)
    said = "the last box or bracketed list is read, decimals are taken, numbers off the scale are clamped"
    lenient = judge.describe()["lenient"]
    assert lenient == f"{settings.template}: {said}"
    jury = JuryJudge([Member("only", judge)])
    for made, name in ((judge, "run"), (jury, "jury")):
        with opened_run(tmp_path / name, made, resume=False) as store:
            (outcome,) = [outcome async for outcome in judge_items(made, [item(2)], in_flight=1, store=store)]
        assert outcome.verdict.means == (10, 7.5)
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["lenient"] == lenient
    for name, told in (("run", lenient), ("jury", f"only/{lenient}")):
        with Run.open(tmp_path / name) as run:
            assert "lenient     " in run.summary()
        with contextlib.closing(RunStore.open(tmp_path / name)) as store:
            table = run_table(store)
            assert (len(list(table.rows)), dict(table.facts())["lenient"]) == (1, told)
    assert "lenient" not in load_judge("grm", ScriptedEngine([]), judge_settings()).describe()


async def test_why_an_expected_score_is_missing_is_kept(tmp_path):
    def script(request, j):
        top = (("8", log(0.5)), ("1", log(0.5)))
        number = TokenLogprob("8", log(0.5), top)
        tokens = (TokenLogprob("\\boxed{", 0.0), number, TokenLogprob(", ", 0.0), number, TokenLogprob("}", 0.0))
        return Sample("\\boxed{8, 8}", "stop", 0, logprobs=tokens)

    judge = load_judge("grm", logprob_engine(script), judge_settings(k=1, rule="expected"))
    with opened_run(tmp_path / "run", judge, resume=False) as store:
        (outcome,) = [outcome async for outcome in judge_items(judge, [item(2)], in_flight=1, store=store)]
    why = (
        "score 1: 0.50 of the probability is on scores that can be told apart, expected 0.75 or more; 0.50 is on the begin "
        "of several (1, 10): use a scale on which no score begins another, as the template grm-digit does (0 to 9)"
    )
    assert outcome.verdict.error.type == "NoExpectedScore"
    assert why in outcome.verdict.error.message
    with contextlib.closing(RunStore.open(tmp_path / "run")) as store:
        ((_, (judgment,)),) = store.judgments()
    assert (judgment.scores, judgment.problem, judgment.no_expected) == ((8, 8), None, why)
    assert replace(judgment, no_expected=None) == replace(outcome.verdict.judgments[0], no_expected=None)


async def test_on_the_scale_of_digits_the_same_probabilities_tell():
    def script(request, j):
        number = TokenLogprob("8", log(0.5), (("8", log(0.5)), ("1", log(0.5))))
        tokens = (TokenLogprob("\\boxed{", 0.0), number, TokenLogprob(", ", 0.0), number, TokenLogprob("}", 0.0))
        return Sample("\\boxed{8, 8}", "stop", 0, logprobs=tokens)

    verdict = await judged("grm", logprob_engine(script), item(2), k=1, rule="expected", template="grm-digit")
    assert verdict.means == pytest.approx((4.5, 4.5))
