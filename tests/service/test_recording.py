import asyncio
import subprocess

import pytest

from service.serving import SETTINGS, by_digit, gated, item, settle
from spct.engines.scripted import ScriptedEngine
from spct.errors import InputError, ResumeRefusedError, RunError
from spct.judges.grm import GRMJudge
from spct.judges.settings import JudgeSettings
from spct.run import RunStore
from spct.run.stored import stored_items, stored_settings
from spct.service.cache import VerdictCache
from spct.service.judges import grm_judges
from spct.service.options import JudgeOptions
from spct.service.recording import MAX_RUNS, Recording
from spct.service.service import RewardService


def recorded(folder, engine=None, settings=SETTINGS, on_fault=None):
    make = grm_judges(engine or ScriptedEngine(by_digit))
    return RewardService(make, settings, recording=Recording(folder, on_fault), cache=VerdictCache(0))


def read(folder):
    store = RunStore.open(folder)
    _, settings = stored_settings(store)
    items = list(stored_items(store, settings))
    store.close()
    return items


async def test_what_was_answered_can_be_read_back(tmp_path):
    async with recorded(tmp_path / "run", settings=JudgeSettings(k=2)) as service:
        first = await service.judge(item("3", "9", id="mine"))
        second = await service.judge(item("7", "5"))
        before_close = read(tmp_path / "run")
    stored = read(tmp_path / "run")
    assert [one.verdict.totals for one in stored] == [(6, 18), (14, 10)]
    assert [one.finished for one in stored] == [True, True]
    assert [one.verdict.judgments for one in stored] == [first.judgments, second.judgments]
    assert [one.item.extra for one in stored] == [{"client_id": "mine"}, {}]
    assert stored[1].item.id == second.id
    assert before_close == stored


async def test_a_service_begun_again_goes_on_with_the_run(tmp_path):
    for digits in (("3", "9"), ("7", "5")):
        async with recorded(tmp_path / "run") as service:
            await service.judge(item(*digits))
    assert [one.verdict.means for one in read(tmp_path / "run")] == [(3, 9), (7, 5)]


async def test_other_settings_do_not_mix_into_a_run(tmp_path):
    async with recorded(tmp_path / "run"):
        pass
    with pytest.raises(ResumeRefusedError, match="other settings"):
        await recorded(tmp_path / "run", settings=JudgeSettings(k=1, seed=5)).start()
    async with recorded(tmp_path / "run"):
        with pytest.raises(RunError, match="in use by another process"):
            await recorded(tmp_path / "run").start()


async def test_other_options_have_runs_of_their_own(tmp_path):
    async with recorded(tmp_path / "run") as service:
        await service.judge(item("3", "9"))
        await service.judge(item("3", "9"), JudgeOptions(k=2))
        await service.judge(item("4", "8"), JudgeOptions(k=2))
    assert [one.verdict.totals for one in read(tmp_path / "run")] == [(3, 9)]
    (other,) = (tmp_path / "run").glob("options-*")
    assert [one.verdict.totals for one in read(other)] == [(6, 18), (8, 16)]


async def test_the_number_of_runs_is_bounded(tmp_path):
    async with recorded(tmp_path / "run") as service:
        for seed in range(1, MAX_RUNS):
            service.judges.of(JudgeOptions(seed=seed))
        with pytest.raises(InputError, match=f"records {MAX_RUNS - 1} sets of options besides its own"):
            await service.judge(item("3"), JudgeOptions(seed=MAX_RUNS))
        assert (await service.judge(item("3"), JudgeOptions(seed=1))).means == (3,)


async def test_samples_of_a_caller_that_left_are_there_without_a_verdict(tmp_path):
    gate, _ = gated()

    async def second_waits(request, j):
        return by_digit(request, j) if request is engine.requests[0] else await gate(request, j)

    engine = ScriptedEngine(second_waits)
    async with recorded(tmp_path / "run", engine, JudgeSettings(k=2)) as service:
        asked = asyncio.create_task(service.judge(item("3", "9")))
        await gate.arrived.wait()
        asked.cancel()
        await settle()
    (one,) = read(tmp_path / "run")
    assert (one.finished, len(one.verdict.judgments), one.verdict.means) == (False, 1, (3, 9))


async def test_principles_are_kept_with_the_run(tmp_path):
    def script(request, j):
        shown = "[Begin response" in request.messages[-1].content
        return by_digit(request, j) if shown else "Specific Criteria:\n1. Truth (Weight: 100%)"

    settings = JudgeSettings(k=1, principles="query")
    engines = [ScriptedEngine(script), ScriptedEngine(script)]
    for engine in engines:
        async with recorded(tmp_path / "run", engine, settings) as service:
            assert (await service.judge(item("3", "9"))).best == 1
    assert [len(engine.requests) for engine in engines] == [2, 1]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 800 kB, and how to make it larger."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=800k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small tmpfs needs root")
    yield folder, lambda: subprocess.run(["mount", "-o", "remount,size=4m", str(folder)], check=True)
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_costs_no_reward_and_recording_begins_again(small_disk):
    folder, enlarge = small_disk
    faults = []
    async with recorded(folder / "run", on_fault=faults.append) as service:
        judge = GRMJudge(ScriptedEngine(by_digit), SETTINGS)
        for n in range(40):
            asked = item("3", str(n % 9 + 1), query=f"question {n} " * 1500)
            assert (await service.judge(asked)).means == (await judge.judge(asked)).means
        assert service.counters.lost > 0
        assert len(faults) == 1 and "full" in str(faults[0])
        enlarge()
        service.judges.main.recorder._retry_at = 0.0
        assert (await service.judge(item("1", "8", query="after"))).best == 1
        lost = service.counters.lost
    stored = read(folder / "run")
    assert stored[-1].item.messages[0].content == "after"
    assert len([one for one in stored if one.finished]) == 41 - lost
