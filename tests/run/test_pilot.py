"""The pilot of a run with adaptive k: taken to k, learned from once, and the same stops however the run goes."""

import asyncio

import orjson
import pytest

from spct import GRM
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import EngineError
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.run import RunStore, judge_items, opened_run
from spct.types import Item, Message
from spct.voting.noise import PILOT_ITEMS, TEN_POINTS, learned_noise

SETTINGS = {"k": 8, "adaptive": 0.9}
ITEMS = [
    Item(f"q{number}", (Message("user", f"question {number}"),), ("answer 0", "answer 1"))
    for number in range(PILOT_ITEMS + 20)
]


def spread(width):
    """Scores that differ by up to ``width`` from seed to seed, around a lead of one point."""

    def script(request, j):
        seed = request.seed + j
        text = request.messages[-1].content
        first = 1 if text.index("answer 0") < text.index("answer 1") else 0
        scores = [5 + seed % width, 4 + seed // 7 % width]
        return judgment_text(scores if first else scores[::-1])

    return script


async def judged(out, script, items=ITEMS, in_flight=4, resume=False, **settings):
    judge = GRMJudge(ScriptedEngine(script), judge_settings(**{**SETTINGS, **settings}))
    with opened_run(out, judge, resume=resume) as store:
        return [outcome.verdict async for outcome in judge_items(judge, items, in_flight=in_flight, store=store)]


def kept(directory):
    store = RunStore.open(directory)
    found = store.meta("noise")
    store.close()
    return found and orjson.loads(found)


async def test_the_pilot_is_taken_to_k_and_what_it_says_is_kept(tmp_path):
    verdicts = await judged(tmp_path, spread(3))
    assert {verdict.sampled for verdict in verdicts[:PILOT_ITEMS]} == {8}
    assert min(verdict.sampled for verdict in verdicts[PILOT_ITEMS:]) < 8
    pilot = [[judgment.scores for judgment in verdict.judgments] for verdict in verdicts[:PILOT_ITEMS]]
    learned = learned_noise(pilot, TEN_POINTS)
    assert kept(tmp_path) == {"k": 8, "scale": TEN_POINTS, "learned": pytest.approx(learned), "items": PILOT_ITEMS}


async def test_a_noisier_judge_is_asked_more(tmp_path):
    steady, noisy = await judged(tmp_path / "steady", spread(2)), await judged(tmp_path / "noisy", spread(6))
    assert kept(tmp_path / "noisy")["learned"] > 4 * kept(tmp_path / "steady")["learned"]
    asked = [sum(verdict.sampled for verdict in run[PILOT_ITEMS:]) for run in (steady, noisy)]
    assert asked[1] > asked[0]


@pytest.mark.parametrize("in_flight", [1, 3, 64])
async def test_the_same_stops_at_any_concurrency(tmp_path, in_flight):
    rows = [verdict.as_row() for verdict in await judged(tmp_path / "four", spread(3))]
    assert [verdict.as_row() for verdict in await judged(tmp_path / "other", spread(3), in_flight=in_flight)] == rows


@pytest.mark.parametrize("allowed", [20, 8 * PILOT_ITEMS - 3, 8 * PILOT_ITEMS + 9])
async def test_the_same_stops_after_a_stop(tmp_path, allowed):
    rows = [verdict.as_row() for verdict in await judged(tmp_path / "whole", spread(3))]
    asked = 0

    def dying(request, j):
        nonlocal asked
        asked += 1
        return spread(3)(request, j) if asked <= allowed else EngineError("killed")

    with pytest.raises(EngineError, match="killed"):
        await asyncio.wait_for(judged(tmp_path / "run", dying), 30)
    resumed = await judged(tmp_path / "run", spread(3), resume=True)
    assert [verdict.as_row() for verdict in resumed] == rows
    assert kept(tmp_path / "run") == kept(tmp_path / "whole")


async def test_what_was_learned_is_not_learned_again(tmp_path):
    await judged(tmp_path, spread(3), ITEMS[: PILOT_ITEMS + 1])
    store = RunStore.open(tmp_path, write=True)
    store.set_meta("noise", orjson.dumps({**kept(tmp_path), "learned": 400.0}).decode())
    store.close()
    verdicts = await judged(tmp_path, spread(3), resume=True)
    assert {verdict.sampled for verdict in verdicts[PILOT_ITEMS + 1 :]} == {8}


async def test_a_larger_k_tells_more(tmp_path):
    await judged(tmp_path / "grown", spread(3), k=4)
    assert kept(tmp_path / "grown")["k"] == 4
    grown = await judged(tmp_path / "grown", spread(3), resume=True, k=8)
    at_once = await judged(tmp_path / "at once", spread(3), k=8)
    assert [verdict.as_row() for verdict in grown] == [verdict.as_row() for verdict in at_once]
    assert kept(tmp_path / "grown") == kept(tmp_path / "at once")


async def test_fewer_items_than_a_pilot_all_go_to_k(tmp_path):
    verdicts = await judged(tmp_path, spread(2), ITEMS[:5])
    assert {verdict.sampled for verdict in verdicts} == {8}
    assert kept(tmp_path) is None


async def test_without_adaptive_k_there_is_no_pilot(tmp_path):
    await judged(tmp_path, spread(3), adaptive=None)
    assert kept(tmp_path) is None


def test_from_python_without_a_run_it_is_the_same(tmp_path):
    rows = [verdict.as_row() for verdict in asyncio.run(judged(tmp_path, spread(3)))]
    with GRM(ScriptedEngine(spread(3)), **SETTINGS) as model:
        assert [verdict.as_row() for verdict in model.judge_many(ITEMS)] == rows
