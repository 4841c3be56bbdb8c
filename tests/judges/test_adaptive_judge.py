"""Adaptive k in the judge: the same judgments as a fixed-k run, fewer of them, and the same again after a stop."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from spct.engines.engine import Capabilities
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import EngineError, InputError
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.run import RunStore, judge_items
from spct.types import Item, Message
from spct.voting.adaptive import settled
from spct.voting.noise import PILOT_ITEMS

QUERY = (Message("user", "Which is better?"),)
META = {"settings": "{}"}


def item(number, n=3):
    return Item(f"q{number}", (Message("user", f"question {number}"),), tuple(f"answer {i}" for i in range(n)))


def noisy(request, j):
    """Scores that depend on the seed alone, some of them unreadable."""
    seed = request.seed + j
    if seed % 11 == 0:
        return "I cannot say."
    return judgment_text([4 + seed % 3, 4 + seed // 7 % 3, 4 + seed // 31 % 4])


def clear(request, j):
    """Whoever answers with the number 1 is far better."""
    text = request.messages[-1].content
    shown = sorted(range(3), key=lambda i: text.index(f"answer {i}"))
    return judgment_text([9 if i == 1 else 2 for i in shown])


async def judged(script, of, **settings):
    engine = ScriptedEngine(script)
    verdict = await GRMJudge(engine, judge_settings(**settings)).judge(of)
    return verdict, engine


def places(judgments):
    return [(j.index, j.attempt) for j in judgments]


async def test_a_clear_winner_takes_two_judgments():
    verdict, engine = await judged(clear, item(0), k=8, adaptive=0.94)
    assert verdict.totals == (4, 18, 4)
    assert (verdict.k, verdict.sampled, verdict.valid) == (8, 2, 2)
    assert [request.n for request in engine.requests] == [1, 1]


async def test_the_first_judgments_are_those_of_a_fixed_run():
    stopped = Counter()
    for number in range(30):
        fixed, _ = await judged(noisy, item(number), k=12)
        adaptive, _ = await judged(noisy, item(number), k=12, adaptive=0.9)
        m = adaptive.sampled
        stopped[m] += 1
        assert adaptive.judgments == tuple(j for j in fixed.judgments if j.index < m)
    assert min(stopped) < 6
    assert max(stopped) > 6


async def test_it_stops_where_the_rule_first_says_so():
    for number in range(30):
        fixed, _ = await judged(noisy, item(number), k=12)
        adaptive, _ = await judged(noisy, item(number), k=12, adaptive=0.9)
        valid = [j for j in fixed.judgments if j.problem is None]
        stops = []
        for m in range(2, 12):
            rows = [j.scores for j in valid if j.index < m]
            if rows and settled(rows, len(rows) + 12 - m, 0.9):
                stops.append(m)
        assert adaptive.sampled == (stops[0] if stops else 12)


async def test_rounds_sample_side_by_side_and_stop_at_multiples():
    sampled = set()
    for number in range(30):
        verdict, _ = await judged(noisy, item(number), k=10, adaptive=0.9, adaptive_round=4)
        sampled.add(verdict.sampled)
    assert sampled <= {4, 8, 10}
    assert sampled & {4, 8}


async def test_a_single_response_is_never_settled():
    verdict, _ = await judged(lambda r, j: judgment_text([7]), item(0, n=1), k=5, adaptive=0.9)
    assert verdict.sampled == 5


async def test_a_tie_is_never_settled():
    verdict, _ = await judged(lambda r, j: judgment_text([7, 7, 7]), item(0), k=6, adaptive=0.5)
    assert verdict.sampled == 6


async def test_without_a_valid_judgment_all_are_sampled():
    verdict, engine = await judged(lambda r, j: "no", item(0), k=3, adaptive=0.9, retries=1)
    assert verdict.error.type == "NoValidJudgment"
    assert places(verdict.judgments) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert len(engine.requests) == 6


async def test_items_that_need_blocks_get_all_k():
    long = replace(item(0), responses=tuple(f"answer {i} " + "word " * 300 for i in range(3)))
    capabilities = Capabilities(seeding="sample", context_tokens=1100)
    engine = ScriptedEngine(
        lambda r, j: judgment_text([9] + [1] * (r.messages[-1].content.count("[Begin response") - 1)),
        capabilities=capabilities,
    )
    verdict = await GRMJudge(engine, judge_settings(k=3, adaptive=0.9, max_tokens=10)).judge(long)
    assert verdict.sampled == 3
    assert all(len(j.order) == 2 for j in verdict.judgments)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"adaptive": 1.0}, "adaptive is 1.0; expected a chance between 0 and 1"),
        ({"adaptive": 0.9, "adaptive_round": 0}, "adaptive_round is 0; expected 1 or more"),
        ({"adaptive": 0.9, "block_size": 2}, "judging in blocks takes all k"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(InputError, match=message):
        judge_settings(**settings)


async def run(tmp_path, items, script, *, create, k=12, in_flight=4):
    engine = ScriptedEngine(script, capabilities=Capabilities(seeding="sample", max_n=1))
    judge = GRMJudge(engine, judge_settings(k=k, adaptive=0.9))
    store = RunStore.create(tmp_path, META) if create else RunStore.open(tmp_path, write=True)
    try:
        verdicts = [o.verdict async for o in judge_items(judge, items, in_flight=in_flight, store=store)]
    finally:
        store.close()
    return verdicts, engine


def rows(verdicts):
    return [verdict.as_row() for verdict in verdicts]


async def test_a_resumed_run_asks_for_exactly_what_is_missing(tmp_path):
    items = [item(number) for number in range(PILOT_ITEMS + 12)]
    whole, engine = await run(tmp_path / "whole", items, noisy, create=True)
    planned = sorted(request.seed for request in engine.requests)
    for allowed in (1, 40, 12 * PILOT_ITEMS + 8, 12 * PILOT_ITEMS + 40):
        asked = []

        def dying(request, j, asked=asked, allowed=allowed):
            if len(asked) >= allowed:
                raise EngineError("killed")
            asked.append(request.seed)
            return noisy(request, j)

        path = tmp_path / f"stopped{allowed}"
        with pytest.raises(EngineError, match="killed"):
            await run(path, items, dying, create=True)
        resumed, engine = await run(path, items, noisy, create=False)
        assert rows(resumed) == rows(whole)
        assert [v.judgments for v in resumed] == [v.judgments for v in whole]
        assert sorted(asked + [request.seed for request in engine.requests]) == planned


async def test_resuming_a_finished_run_asks_for_nothing(tmp_path):
    items = [item(number) for number in range(10)]
    whole, _ = await run(tmp_path, items, noisy, create=True)
    again, engine = await run(tmp_path, items, noisy, create=False)
    assert rows(again) == rows(whole)
    assert engine.requests == []


async def test_raising_k_goes_on_from_what_there_is(tmp_path):
    items = [item(number) for number in range(10)]
    await run(tmp_path / "grown", items, noisy, create=True, k=4)
    grown, _ = await run(tmp_path / "grown", items, noisy, create=False, k=12)
    at_once, _ = await run(tmp_path / "at once", items, noisy, create=True, k=12)
    assert rows(grown) == rows(at_once)


async def test_several_items_stay_in_flight(tmp_path):
    busy, most = Counter(), 0

    async def slow(request, j):
        nonlocal most
        asked = next(name for name in request.messages[-1].content.split("\n") if name.startswith("question"))
        busy[asked] += 1
        most = max(most, len(+busy))
        await asyncio.sleep(0.001)
        busy[asked] -= 1
        return noisy(request, j)

    await run(tmp_path, [item(number) for number in range(12)], slow, create=True, in_flight=6)
    assert most == 6
