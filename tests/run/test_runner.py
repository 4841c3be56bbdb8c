import asyncio
from dataclasses import replace

import pytest

from spct.engines.engine import Capabilities
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import (
    ContentFilterError,
    EngineError,
    EngineUnreachableError,
    RejectedError,
    ReplyError,
    ResumeRefusedError,
)
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.meta import load_meta
from spct.run import RunStore, check_same, judge_items, open_run
from spct.run.rating import rate_run
from spct.run.runner import GIVE_UP_AFTER
from spct.types import Item, Message
from spct.voting.ratings import Rating


def items(count):
    return [
        Item(f"i{n}", (Message("user", f"question {n}"),), (f"first {n}", f"second {n}"), best=0) for n in range(count)
    ]


def by_seed(request, j):
    seed = request.seed + j
    if seed % 7 == 0:
        return "invalid"
    return judgment_text([1 + seed % 10, 1 + seed // 10 % 10])


async def collect(engine, source, *, store=None, in_flight=4, **settings):
    judge = GRMJudge(engine, judge_settings(**settings))
    return [outcome async for outcome in judge_items(judge, source, in_flight=in_flight, store=store)]


def rows(outcomes):
    return [outcome.verdict.as_row() for outcome in outcomes]


async def test_verdicts_come_in_input_order_however_long_each_takes():
    async def slow_first(request, j):
        await asyncio.sleep(0.05 if "question 0" in request.messages[-1].content else 0)
        return judgment_text([5, 6])

    outcomes = await collect(ScriptedEngine(slow_first), items(20), k=2)
    assert [outcome.verdict.id for outcome in outcomes] == [f"i{n}" for n in range(20)]
    assert [outcome.position for outcome in outcomes] == list(range(20))


async def test_verdicts_do_not_depend_on_concurrency():
    one = await collect(ScriptedEngine(by_seed), items(12), in_flight=1, k=6)
    many = await collect(ScriptedEngine(by_seed), items(12), in_flight=12, k=6)
    assert rows(one) == rows(many)


async def test_equal_items_of_other_ids_get_the_same_judgments():
    source = items(3)
    twin = replace(source[0], id="twin", best=None)
    outcomes = await collect(ScriptedEngine(by_seed), [*source, twin], k=6)
    first, other, *_, second = [outcome.verdict.judgments for outcome in outcomes]
    assert first == second != other


async def test_in_flight_is_a_bound_and_the_source_is_streamed():
    now = peak = taken = 0

    async def counted(request, j):
        nonlocal now, peak
        now += 1
        peak = max(peak, now)
        await asyncio.sleep(0.002)
        now -= 1
        return judgment_text([5, 6])

    def source():
        nonlocal taken
        for item in items(200):
            taken += 1
            yield item

    seen = 0
    judge = GRMJudge(ScriptedEngine(counted), judge_settings(k=1))
    async for _ in judge_items(judge, source(), in_flight=5):
        seen += 1
        assert taken - seen <= 4 * 5 + 1
    assert (seen, peak) == (200, 5)


@pytest.mark.parametrize("stored", [False, True])
async def test_a_verdict_is_handed_out_though_every_place_is_taken(tmp_path, stored):
    """Items 0 to 5 are judged, then two that never end take both places: what is done does not wait for them."""

    async def some_never(request, j):
        number = int(request.messages[-1].content.split("question ")[1].split()[0])
        await asyncio.sleep(3600 if number >= 6 else 0)
        return judgment_text([5, 6])

    judge = GRMJudge(ScriptedEngine(some_never), judge_settings(k=1))
    store = open_run(tmp_path / "run", judge, resume=False) if stored else None
    outcomes = judge_items(judge, items(20), in_flight=2, store=store)
    async with asyncio.timeout(60):
        seen = [(await anext(outcomes)).position for _ in range(6)]
    assert seen == [0, 1, 2, 3, 4, 5]
    await outcomes.aclose()
    if store is not None:
        store.close()


async def test_resume_samples_only_what_is_missing(tmp_path):
    full = await collect(ScriptedEngine(by_seed), items(10), k=6)
    store = RunStore.create(tmp_path, {})
    await collect(ScriptedEngine(by_seed), items(4), store=store, k=6)
    store.close()
    store = RunStore.open(tmp_path, write=True)
    engine = ScriptedEngine(by_seed)
    outcomes = await collect(engine, items(10), store=store, k=6)
    assert rows(outcomes) == rows(full)
    assert all("question" in r.messages[-1].content for r in engine.requests)
    assert not any(f"question {n}" in r.messages[-1].content for n in range(4) for r in engine.requests)
    assert [outcome.replayed > 0 for outcome in outcomes] == [True] * 4 + [False] * 6


async def test_raising_k_later_equals_asking_for_it_at_once(tmp_path):
    full = await collect(ScriptedEngine(by_seed), items(5), k=9)
    store = RunStore.create(tmp_path, {})
    await collect(ScriptedEngine(by_seed), items(5), store=store, k=4)
    assert rows(await collect(ScriptedEngine(by_seed), items(5), store=store, k=9)) == rows(full)


async def test_a_changed_input_is_refused(tmp_path):
    store = RunStore.create(tmp_path, {})
    await collect(ScriptedEngine(by_seed), items(3), store=store, k=2)
    changed = [*items(2), replace(items(3)[2], responses=("other", "answers"))]
    with pytest.raises(ResumeRefusedError, match="item 2 of the input"):
        await collect(ScriptedEngine(by_seed), changed, store=store, k=2)


async def test_an_items_failure_does_not_stop_the_run():
    def script(request, j):
        return RejectedError("refused") if "question 3" in request.messages[-1].content else judgment_text([7, 2])

    outcomes = await collect(ScriptedEngine(script), items(6), k=2)
    assert [o.verdict.error and o.verdict.error.type for o in outcomes] == [None] * 3 + ["RejectedError"] + [None] * 2


async def test_an_engine_failure_ends_the_run_and_keeps_what_was_sampled(tmp_path):
    answers = 0

    def dies(request, j):
        nonlocal answers
        answers += 1
        return judgment_text([7, 2]) if answers <= 10 else EngineUnreachableError("nobody answers")

    store = RunStore.create(tmp_path, {})
    with pytest.raises(EngineUnreachableError, match="nobody answers"):
        await collect(ScriptedEngine(dies), items(30), store=store, in_flight=2, k=2)
    store.close()
    kept = RunStore.open(tmp_path, write=True)
    assert kept.count("judgments") == 10
    assert len(list(kept.verdict_rows())) >= 4
    outcomes = await collect(ScriptedEngine(lambda r, j: judgment_text([7, 2])), items(30), store=kept, k=2)
    assert rows(outcomes) == rows(await collect(ScriptedEngine(lambda r, j: judgment_text([7, 2])), items(30), k=2))


async def test_a_server_that_fails_item_after_item_ends_the_run():
    engine = ScriptedEngine(lambda r, j: ReplyError("garbage: <html>"))
    with pytest.raises(EngineError, match=f"last {GIVE_UP_AFTER} items all failed.*garbage"):
        await collect(engine, items(500), in_flight=1, k=1)
    assert len(engine.requests) <= GIVE_UP_AFTER + 1


async def test_items_that_fail_between_others_do_not_end_the_run():
    def every_second(request, j):
        number = int(request.messages[-1].content.split("question ")[1].split()[0])
        return ReplyError("garbage") if number % 2 else judgment_text([5, 6])

    outcomes = await collect(ScriptedEngine(every_second), items(4 * GIVE_UP_AFTER), in_flight=1, k=1)
    assert sum(outcome.verdict.error is not None for outcome in outcomes) == 2 * GIVE_UP_AFTER


def numbered(request):
    return int(request.messages[-1].content.split("question ")[1].split()[0])


@pytest.mark.parametrize("kind", [RejectedError, ContentFilterError])
async def test_what_a_server_refuses_after_it_took_others_is_those_items_own(kind):
    def filtered(request, j):
        return kind("refused: content") if 5 <= numbered(request) < 40 else judgment_text([5, 6])

    outcomes = await collect(ScriptedEngine(filtered), items(60), in_flight=1, k=1)
    assert [outcome.verdict.error is not None for outcome in outcomes] == [5 <= n < 40 for n in range(60)]


async def test_content_filters_never_end_a_run():
    engine = ScriptedEngine(lambda r, j: ContentFilterError("flagged"))
    outcomes = await collect(engine, items(30), in_flight=1, k=1)
    assert {outcome.verdict.error.type for outcome in outcomes} == {"ContentFilterError"}


async def test_a_server_that_refuses_all_from_the_first_on_ends_the_run():
    engine = ScriptedEngine(lambda r, j: RejectedError("no such field"))
    with pytest.raises(EngineError, match=f"last {GIVE_UP_AFTER} items all failed.*no such field"):
        await collect(engine, items(500), in_flight=1, k=1)


async def test_closing_early_leaves_nothing_running():
    async def slow(request, j):
        await asyncio.sleep(30)
        return ""

    judge = GRMJudge(ScriptedEngine(slow), judge_settings(k=1))
    outcomes = judge_items(judge, items(10), in_flight=4)
    waiting = asyncio.create_task(anext(outcomes))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await outcomes.aclose()
    assert len(asyncio.all_tasks()) == 1


LONG = Item("long", (Message("user", "question"),), tuple(f"answer {i} " + "so " * 100 for i in range(6)), best=0)


def by_seed_any_n(request, j):
    shown = request.messages[-1].content.count("[Begin response ")
    seed = request.seed + j
    return "no box" if seed % 5 == 0 else judgment_text([1 + seed // 3**i % 9 for i in range(shown)])


class BySeed:
    """A meta RM that rates a judgment by its seed."""

    model_id, special_tokens, configuration, notes = "by:seed", (), {}, ()

    async def start(self):
        return

    async def close(self):
        return

    async def rate(self, cases):
        return [Rating(case.judgment.seed % 97 / 97) for case in cases]


async def judge_long(path, context_tokens, *, create=False):
    """Six responses of a hundred words: whole where the context holds them all, in blocks where it is smaller."""
    can = Capabilities(seeding="sample", context_tokens=context_tokens)
    settings = judge_settings(k=4, max_tokens=100)
    judge = GRMJudge(ScriptedEngine(by_seed_any_n, capabilities=can), settings, meta=BySeed())
    store = open_run(path, judge, resume=not create)
    (verdict,) = [found.verdict async for found in judge_items(judge, [LONG], in_flight=1, store=store)]
    return store, settings, verdict


@pytest.mark.parametrize("sizes", [(900, 100_000), (700, 900), (100_000, 900), (900, 700)])
async def test_a_context_of_another_size_leaves_nothing_of_the_old_plan_behind(tmp_path, sizes):
    fresh, _, expected = await judge_long(tmp_path / "fresh", sizes[1], create=True)
    store, settings, before = await judge_long(tmp_path / "run", sizes[0], create=True)
    await rate_run(store, settings, load_meta("random"))
    store.close()
    store, settings, after = await judge_long(tmp_path / "run", sizes[1])
    assert {len(j.order) for j in before.judgments} != {len(j.order) for j in after.judgments}
    assert after.as_row() == expected.as_row()
    assert store.history(0) == fresh.history(0)
    assert store.ratings(0, "by:seed") == fresh.ratings(0, "by:seed")
    assert store.ratings(0, "random:0") == {}
    for run in (store, fresh):
        run.close()


async def test_judgments_beyond_a_smaller_k_stay(tmp_path):
    store = RunStore.create(tmp_path, {})
    await collect(ScriptedEngine(by_seed), items(1), store=store, k=6)
    kept = store.history(0)
    await collect(ScriptedEngine(by_seed), items(1), store=store, k=2)
    assert store.history(0) == kept


async def test_query_principles_survive_in_the_store(tmp_path):
    def script(request, j):
        if "first 0" in request.messages[-1].content:
            return judgment_text([3, 4])
        return "Specific Criteria:\n1. Depth (Weight: 100%)"

    store = RunStore.create(tmp_path, {})
    await collect(ScriptedEngine(script), items(1), store=store, k=2, principles="query")
    assert len(store.first_texts) == 1
    engine = ScriptedEngine(script)
    await collect(engine, items(1), store=store, k=4, principles="query")
    assert all("first 0" in request.messages[-1].content for request in engine.requests)


def test_changed_settings_are_listed():
    engine = ScriptedEngine([], capabilities=Capabilities())
    stored = GRMJudge(engine, judge_settings(k=4, seed=1, temperature=0.5)).describe()
    asked = GRMJudge(engine, judge_settings(k=8, seed=1, temperature=0.5)).describe()
    check_same(stored, asked)
    with pytest.raises(ResumeRefusedError) as refused:
        check_same(stored, GRMJudge(engine, judge_settings(k=2, seed=2, temperature=0.7)).describe())
    message = str(refused.value)
    assert "seed: 1 in the run, 2 now" in message
    assert "temperature: 0.5 in the run, 0.7 now" in message
    assert "k: 4 in the run, 2 now" in message
    changed_template = {**stored, "template.grm": "0"}
    with pytest.raises(ResumeRefusedError, match=r"template\.grm"):
        check_same(stored, changed_template)
