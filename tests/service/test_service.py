import asyncio

import pytest

from service.serving import by_digit, gated, item, service_of, settle
from spct.engines import Capabilities
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import (
    BusyError,
    ContextLengthError,
    DrainingError,
    EngineUnreachableError,
    InputError,
    ReplyError,
    TemplateError,
)
from spct.judges.grm import GRMJudge
from spct.judges.settings import JudgeSettings
from spct.service.cache import VerdictCache
from spct.service.judges import KEPT_JUDGES
from spct.service.options import JudgeOptions


async def answers_of(service, items):
    async with service.ask_each(items) as answers:
        return {place: answer async for place, answer in answers}


def no_cache():
    return VerdictCache(0)


async def test_the_verdict_is_the_judges_own_under_the_callers_id():
    engine = ScriptedEngine(by_digit)
    settings = JudgeSettings(k=3)
    async with service_of(engine, settings) as service:
        verdict = await service.judge(item("3", "9", "9", id="q7"))
    alone = await GRMJudge(ScriptedEngine(by_digit), settings).judge(item("3", "9", "9", id="q7"))
    assert (verdict.id, verdict.totals, verdict.tied) == ("q7", (9, 27, 27), (1, 2))
    assert verdict.judgments == alone.judgments


async def test_query_only_principles_are_written_once_for_all_groups_of_a_query():
    def script(request, j):
        shown = "[Begin response" in request.messages[-1].content
        return by_digit(request, j) if shown else "Specific Criteria:\n1. Truth (Weight: 100%)"

    engine = ScriptedEngine(script)
    async with service_of(engine, JudgeSettings(k=1, principles="query"), cache=no_cache()) as service:
        together = await asyncio.gather(*[service.judge(item("3", str(i))) for i in range(4, 9)])
        later = await service.judge(item("3", "9"))
    assert [verdict.best for verdict in (*together, later)] == [1] * 6
    written = ["[Begin response" not in request.messages[-1].content for request in engine.requests]
    assert (written.count(True), written.count(False)) == (1, 6)
    assert all("1. Truth" in r.messages[-1].content for r, w in zip(engine.requests, written, strict=True) if not w)


async def test_other_options_are_other_verdicts_and_equal_ones_are_not():
    engine = ScriptedEngine(by_digit)
    async with service_of(engine) as service:
        first = await service.ask(item("3", "9"), JudgeOptions(k=2))
        assert (first.verdict.k, first.verdict.totals) == (2, (6, 18))
        assert (await service.ask(item("3", "9"), JudgeOptions(k=3))).source == "sampled"
        assert (await service.ask(item("3", "9"), JudgeOptions(k=2, temperature=0.5))).source == "cached"
        assert (await service.ask(item("3", "9"))).source == "sampled"
        assert (await service.ask(item("3", "9"), JudgeOptions(k=1))).source == "cached"


async def test_judges_are_kept_up_to_a_number_and_made_again():
    async with service_of(ScriptedEngine(by_digit), cache=no_cache()) as service:
        for seed in range(KEPT_JUDGES + 10):
            assert (await service.judge(item("3", "9"), JudgeOptions(seed=seed))).best == 1
        assert len(service.judges._others) == KEPT_JUDGES
        assert (await service.judge(item("3", "9"), JudgeOptions(seed=0))).best == 1


async def test_a_full_queue_refuses_at_once_and_says_when_to_come_again():
    gate, engine = gated()
    async with service_of(engine, concurrency=2, queue=3, cache=no_cache()) as service:
        asked = [asyncio.create_task(service.judge(item(str(i)))) for i in range(1, 6)]
        await settle()
        assert (service.callers, service.running, service.waiting) == (5, 2, 3)
        with pytest.raises(BusyError, match=r"the queue is full: 5 of 5 requests") as refused:
            await service.judge(item("6"))
        assert 1 <= refused.value.retry_after_s <= 60
        gate.open.set()
        assert [verdict.means for verdict in await asyncio.gather(*asked)] == [(float(i),) for i in range(1, 6)]
        assert (await service.judge(item("6"))).means == (6,)
    assert service.callers == 0
    assert service.counters.errors == {"BusyError": 1}


async def test_a_batch_has_room_as_a_whole_or_not_at_all():
    gate, engine = gated()
    gate.open.set()
    async with service_of(engine, concurrency=2, queue=2, cache=no_cache()) as service:
        with pytest.raises(BusyError, match="5 more were asked for at once"):
            service.ask_each([item(str(i)) for i in range(1, 6)])
        assert service.callers == 0
        found = await answers_of(service, [item("2"), item("4"), item("2")])
    assert {place: answer.verdict.means for place, answer in found.items()} == {0: (2,), 1: (4,), 2: (2,)}
    assert len(engine.requests) == 2
    assert service.callers == 0


async def test_one_bad_item_of_a_batch_is_its_own_error():
    settings = JudgeSettings(k=1, principles="given")
    async with service_of(ScriptedEngine(by_digit), settings) as service:
        good = item("3")
        found = await answers_of(service, [good, good])
    assert [type(answer) for answer in found.values()] == [TemplateError, TemplateError]


async def test_leaving_a_batch_gives_up_the_rest_of_it():
    gate, engine = gated()

    async def first_only(request, j):
        return by_digit(request, j) if "quick" in request.messages[-1].content else await gate(request, j)

    engine = ScriptedEngine(first_only)
    async with service_of(engine) as service:
        async with service.ask_each([item("8", query="slow"), item("7", query="quick")]) as answers:
            async for place, answer in answers:
                assert (place, answer.verdict.means) == (1, (7,))
                break
        await settle()
        assert (gate.cancelled, service.callers, service.waiting) == (1, 0, 0)


async def test_draining_finishes_what_was_accepted_and_accepts_no_more():
    gate, engine = gated()
    async with service_of(engine, concurrency=1) as service:
        asked = [asyncio.create_task(service.judge(item(str(i)))) for i in (1, 2, 3)]
        await settle()
        drained = asyncio.create_task(service.drain())
        await settle()
        with pytest.raises(DrainingError):
            await service.judge(item("4"))
        assert not drained.done()
        gate.open.set()
        assert await drained is True
        assert [verdict.means for verdict in await asyncio.gather(*asked)] == [(1,), (2,), (3,)]


async def test_draining_can_take_too_long_and_closing_then_tells_the_callers():
    _, engine = gated()
    service = service_of(engine)
    asked = asyncio.create_task(service.judge(item("3")))
    await settle()
    assert await service.drain(0.01) is False
    await service.close()
    with pytest.raises(DrainingError):
        await asked


@pytest.mark.parametrize(
    "error", [ReplyError("garbage"), ContextLengthError("too long"), EngineUnreachableError("gone")]
)
async def test_an_engines_failure_reaches_every_caller_as_what_it_is_and_is_not_kept(error):
    answers = [error, judgment_text([7])]
    engine = ScriptedEngine(answers)
    async with service_of(engine) as service:
        failed = await asyncio.gather(*(service.judge(item("3")) for _ in range(3)), return_exceptions=True)
        assert [type(failure) for failure in failed] == [type(error)] * 3
        assert (await service.judge(item("3"))).means == (7,)
    assert service.counters.errors[type(error).__name__] >= 1


async def test_a_verdict_without_a_winner_is_answered_and_not_kept():
    engine = ScriptedEngine(["no scores here", judgment_text([7])])
    async with service_of(engine) as service:
        verdict = await service.judge(item("3"))
        assert (verdict.best, verdict.error.type, verdict.invalid) == (None, "NoValidJudgment", 1)
        assert (await service.judge(item("3"))).means == (7,)
    assert service.counters.verdicts == {"none": 1, "winner": 1}
    assert service.counters.problems == {"no_box": 1}


async def test_principles_are_written_once_for_a_query():
    def script(request, j):
        shown = "[Begin response" in request.messages[-1].content
        return by_digit(request, j) if shown else "Specific Criteria:\n1. Truth (Weight: 100%)"

    engine = ScriptedEngine(script)
    async with service_of(engine, JudgeSettings(k=1, principles="query"), cache=no_cache()) as service:
        for responses in ("12", "34", "56"):
            await service.judge(item(*responses))
    assert sum("[Begin response" not in request.messages[-1].content for request in engine.requests) == 1
    assert len(engine.requests) == 4


async def test_concurrency_is_the_engines_unless_it_is_said():
    engine = ScriptedEngine(by_digit, capabilities=Capabilities(concurrency=3))
    assert service_of(engine).concurrency == 3
    assert service_of(engine, queue=5).capacity == 8
    assert service_of(engine, concurrency=2).concurrency == 2


@pytest.mark.parametrize("limits", [{"concurrency": 0}, {"queue": -1}, {"deadline_s": 0.0}])
def test_limits_that_cannot_be_are_refused(limits):
    with pytest.raises(InputError, match="service: got"):
        service_of(ScriptedEngine(by_digit), **limits)


async def test_options_that_cannot_be_are_refused():
    async with service_of(ScriptedEngine(by_digit)) as service:
        with pytest.raises(InputError, match="no meta RM"):
            await service.judge(item("3"), JudgeOptions(k_meta=1))
    assert service.callers == 0
