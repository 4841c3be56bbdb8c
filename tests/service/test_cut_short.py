"""Escalation within a deadline: a second judge that is too slow does not cost the first one's verdict."""

import asyncio

import pytest

from service.serving import by_digit, gated, item, settle
from service.test_recording import read
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import DeadlineError, EngineUnreachableError
from spct.judges import judge_of
from spct.judges.jury import JuryJudge, Member
from spct.judges.settings import judge_settings
from spct.run import RunStore
from spct.run.revote import revote
from spct.run.stored import stored_settings
from spct.service.recording import Recording
from spct.service.service import RewardService
from spct.voting.jury import BLOCKS

ENOUGH_S = 0.5
"""Time for all that is scripted; what waits for a gate is not there by then."""


def unsure(request, j):
    """Scores what is shown last a point higher: no confidence over two orders."""
    return judgment_text([5, 6], f"seed {request.seed + j}")


def service_of(first, second, folder=None, k=2):
    members = [
        Member(name, judge_of(engine, judge_settings(k=k, retries=0, tie_rule="first")))
        for name, engine in (("weak", first), ("strong", second))
    ]

    def make(settings):
        return JuryJudge(members, comparable="escalate", below=0.99, settings=settings)

    recording = None if folder is None else Recording(folder)
    return RewardService(make, judge_settings(k=k, tie_rule="first"), recording=recording)


def jurors(verdict):
    return [(r.name, r.valid, r.counted, r.error and r.error.type) for r in verdict.jury.results]


async def test_a_second_judge_that_is_too_slow_is_given_up_and_the_first_ones_vote_stands():
    gate, strong = gated()
    async with service_of(ScriptedEngine(unsure), strong) as service:
        verdict = await service.judge(item("3", "9"), deadline_s=ENOUGH_S)
        await settle()
        assert (verdict.jury.escalated, verdict.means, verdict.error) == (True, (5.5, 5.5), None)
        assert jurors(verdict) == [("weak", 2, True, None), ("strong", 0, False, "DeadlineError")]
        assert "no vote of strong, left out; strong: DeadlineError: the time was up before" in str(verdict)
        assert (gate.begun, gate.cancelled, service.running, service.callers) == (2, 2, 0, 0)
        assert service.counters.cut_short == 1 and service.counters.errors == {}
        assert service.counters.usage.requests == 2
        gate.open.set()  # it was not cached: who has more time gets both
        again = await service.judge(item("3", "9"))
        assert jurors(again) == [("weak", 2, False, None), ("strong", 2, True, None)] and again.means == (3, 9)
        assert service.counters.cut_short == 1


async def test_a_caller_with_more_time_gets_the_second_judge_from_the_same_work():
    gate, strong = gated()
    async with service_of(ScriptedEngine(unsure), strong) as service:
        patient = asyncio.create_task(service.judge(item("3", "9")))
        hasty = await service.judge(item("3", "9"), deadline_s=ENOUGH_S)
        assert hasty.means == (5.5, 5.5) and gate.cancelled == 0
        gate.open.set()
        assert (await patient).means == (3, 9)
    assert gate.begun == 2


async def test_what_the_second_judge_had_answered_counts_and_the_run_says_what_was_answered(tmp_path):
    gate, _ = gated()

    async def once(request, j):
        return by_digit(request, j) if request is strong.requests[0] else await gate(request, j)

    strong = ScriptedEngine(once)
    async with service_of(ScriptedEngine(unsure), strong, tmp_path / "run") as service:
        verdict = await service.judge(item("3", "9"), deadline_s=ENOUGH_S)
    assert verdict.means == (3, 9)
    assert jurors(verdict) == [("weak", 2, False, None), ("strong", 1, True, "DeadlineError")]
    assert "strong: DeadlineError: the time was up before it had answered, after 1 of 2 judgments" in str(verdict)
    assert sorted(j.block // BLOCKS for j in verdict.judgments) == [0, 0, 1]
    (stored,) = read(tmp_path / "run")
    assert stored.finished and stored.verdict.as_row() == verdict.as_row()
    store = RunStore.open(tmp_path / "run")
    (anew,) = revote(store, stored_settings(store)[1])
    store.close()
    assert anew.verdict.as_row() == verdict.as_row()


async def test_without_the_first_ones_vote_a_deadline_is_an_error_as_ever():
    _, strong = gated()
    async with service_of(ScriptedEngine(lambda request, j: "no box"), strong) as service:
        with pytest.raises(DeadlineError, match="no verdict within"):
            await service.judge(item("3", "9"), deadline_s=ENOUGH_S)
        assert service.counters.cut_short == 0


async def test_a_failure_of_the_second_judges_server_is_the_callers():
    def gone(request, j):
        return EngineUnreachableError("gone")

    async with service_of(ScriptedEngine(unsure), ScriptedEngine(gone)) as service:
        with pytest.raises(EngineUnreachableError):
            await service.judge(item("3", "9"))
