"""Work that callers share: made once for all of them, given up with the last."""

import asyncio
from dataclasses import replace

import pytest

from service.serving import Gate, gated, item, service_of, settle
from spct.engines.scripted import ScriptedEngine
from spct.errors import DeadlineError


async def test_equal_requests_share_one_judgment_and_are_cached_afterwards():
    gate, engine = gated()
    async with service_of(engine) as service:
        asked = [asyncio.create_task(service.ask(item("3", "9", id=f"caller {i}"))) for i in range(5)]
        await settle()
        gate.open.set()
        answers = await asyncio.gather(*asked)
        later = await service.ask(item("3", "9"))
        other = await service.ask(item("9", "3"))
    assert len(engine.requests) == 2
    assert [answer.source for answer in answers] == ["sampled"] + ["shared"] * 4
    assert [answer.verdict.id for answer in answers] == [f"caller {i}" for i in range(5)]
    assert (later.source, later.verdict.means) == ("cached", (3, 9))
    assert (other.source, other.verdict.means) == ("sampled", (9, 3))
    assert service.counters.answered == {"sampled": 2, "shared": 4, "cached": 1}


async def test_a_passed_deadline_gives_up_the_samples():
    gate, engine = gated()
    async with service_of(engine) as service:
        with pytest.raises(DeadlineError, match=r"no verdict within 0\.01 s"):
            await service.judge(item("3"), deadline_s=0.01)
        await settle()
        assert (gate.cancelled, service.running, service.callers) == (1, 0, 0)
        gate.open.set()
        assert (await service.judge(item("3"))).means == (3,)


async def test_the_services_own_deadline_is_the_longest():
    _, engine = gated()
    async with service_of(engine, deadline_s=0.01) as service:
        with pytest.raises(DeadlineError, match=r"within 0\.01 s"):
            await service.judge(item("3"), deadline_s=3600)


async def test_a_cancelled_caller_gives_up_its_samples():
    gate, engine = gated()
    async with service_of(engine) as service:
        asked = asyncio.create_task(service.judge(item("3")))
        await gate.arrived.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await settle()
        assert (gate.cancelled, service.running, service.waiting, service.callers) == (1, 0, 0, 0)


async def test_shared_work_outlives_all_its_callers_but_one():
    gate, engine = gated()
    async with service_of(engine) as service:
        first = asyncio.create_task(service.judge(item("3")))
        await gate.arrived.wait()
        second = asyncio.create_task(service.judge(item("3")))
        await settle()
        first.cancel()
        await settle()
        assert gate.cancelled == 0
        gate.open.set()
        assert (await second).means == (3,)
    assert gate.begun == 1


async def test_a_caller_in_the_queue_can_be_cancelled_before_its_turn():
    gate, engine = gated()
    async with service_of(engine, concurrency=1) as service:
        running = asyncio.create_task(service.judge(item("3")))
        await gate.arrived.wait()
        queued = asyncio.create_task(service.judge(item("4")))
        await settle()
        queued.cancel()
        await settle()
        assert (service.waiting, gate.begun) == (0, 1)
        gate.open.set()
        assert (await running).means == (3,)
        assert (await service.judge(item("5"))).means == (5,)


class TwoOnceStarted(ScriptedEngine):
    """Says only once it has started that it answers two requests at a time."""

    async def start(self):
        self._capabilities = replace(self._capabilities, concurrency=2)


async def test_an_engine_may_learn_at_its_start_how_much_it_can_do_at_once():
    gate = Gate()
    async with service_of(TwoOnceStarted(gate)) as service:
        asked = [asyncio.create_task(service.judge(item(digit))) for digit in "345"]
        await settle()
        assert (service.running, service.waiting) == (2, 1)
        gate.open.set()
        assert [verdict.means for verdict in await asyncio.gather(*asked)] == [(3,), (4,), (5,)]
