import pytest

from judges.judging import index_sample, item, judged, logprob_engine, names_best, shown
from spct.engines.scripted import ScriptedEngine
from spct.errors import EngineError, InputError, TemplateError
from spct.judges import load_judge
from spct.judges.settings import judge_settings


async def test_the_score_is_the_probability_of_the_number_averaged_over_orders():
    def script(request, j):
        # In front: 0.7 if it is response 0, 0.4 if it is response 1; 0.1 is on other tokens.
        first = {0: 0.7, 1: 0.4}[shown(request)[0]]
        return index_sample([first, 0.9 - first], 1, x=0.1)

    verdict = await judged("token-prob", logprob_engine(script), item(2), k=2)
    by_order = {j.order: j for j in verdict.judgments}
    assert by_order[0, 1].scores == pytest.approx((0.7 / 0.9, 0.2 / 0.9))
    assert by_order[1, 0].scores == pytest.approx((0.5 / 0.9, 0.4 / 0.9))
    assert by_order[0, 1].unresolved == pytest.approx((0.1, 0.1))
    assert by_order[0, 1].expected == by_order[0, 1].scores
    assert verdict.means == pytest.approx((0.6 / 0.9, 0.3 / 0.9))
    assert verdict.best == 0


async def test_a_pure_liking_for_a_place_cancels():
    engine = logprob_engine(lambda r, j: index_sample([0.8, 0.1, 0.1], 1))
    verdict = await judged("token-prob", engine, item(3), k=3)
    assert verdict.means == pytest.approx((1 / 3, 1 / 3, 1 / 3))


async def test_it_asks_for_the_number_alone_with_all_alternatives():
    engine = logprob_engine(lambda r, j: index_sample([0.5, 0.5], 1))
    await judged("token-prob", engine, item(2), k=4)
    assert [(request.n, request.top_logprobs) for request in engine.requests] == [(2, 20), (2, 20)]
    prompt = engine.requests[0].messages[-1].content
    assert "Give no reasons." in prompt
    assert prompt.endswith(
        "Answer with the number of the one best response, 1 to 2, in a box and nothing else: \\boxed{number}"
    )


async def test_after_a_critique_every_judgment_has_its_own_probability():
    def script(request, j):
        return index_sample([0.6, 0.4] if (request.seed + j) % 2 else [0.8, 0.2], 1)

    engine = logprob_engine(script)
    verdict = await judged("token-prob", engine, item(2), k=8, template="judge")
    assert {round(max(j.scores), 3) for j in verdict.judgments} == {0.6, 0.8}


async def test_too_little_mass_on_the_numbers_is_invalid():
    engine = logprob_engine(lambda r, j: index_sample([0.03, 0.02], 1, none=0.95))
    verdict = await judged("token-prob", engine, item(2), k=2, retries=0)
    assert (verdict.best, verdict.valid, verdict.invalid) == (None, 0, 2)
    assert {j.problem.code for j in verdict.judgments} == {"no_logprobs"}
    assert "0.05 of the probability" in verdict.judgments[0].problem.detail
    lenient = await judged("token-prob", engine, item(2), k=2, options={"min_resolved": 0.04})
    assert lenient.means == pytest.approx((0.5, 0.5))


async def test_an_answer_without_a_number_or_log_probabilities_is_invalid():
    verdict = await judged("token-prob", logprob_engine(lambda r, j: "The first."), item(2), k=2, retries=0)
    assert {j.problem.code for j in verdict.judgments} == {"no_box"}
    verdict = await judged("token-prob", logprob_engine(lambda r, j: r"\boxed{1}"), item(2), k=2, retries=1)
    assert [j.problem.code for j in verdict.judgments] == ["no_logprobs"] * 4


async def test_an_engine_without_log_probabilities_ends_the_run():
    with pytest.raises(EngineError, match="gives no token log-probabilities"):
        await judged("token-prob", ScriptedEngine(names_best([1, 2])), item(2))


async def test_one_response_is_nothing_to_compare():
    with pytest.raises(TemplateError, match="compares at least 2"):
        await judged("token-prob", logprob_engine(names_best([1])), item(1))


def test_describe_tells_it_from_the_llm_judge():
    described = load_judge("token-prob", logprob_engine([]), judge_settings()).describe()
    assert (described["judge"], described["template"], described["top_logprobs"]) == ("token-prob", "judge-index", 20)
    with pytest.raises(InputError, match="min_resolved"):
        load_judge("token-prob", logprob_engine([]), judge_settings(), min_resolved=0)
