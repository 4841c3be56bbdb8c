"""Meta-guided voting through the judge, the store and the face of the package."""

import asyncio

import pytest

from spct import GRM
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import EngineError, InputError, ReplyError
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.meta import load_meta
from spct.run import RunStore, judge_items
from spct.types import Item, Message
from spct.voting.ratings import Rating, place_of

SETTINGS = {"settings": "{}"}


class Scripted:
    """A meta RM by a function of the case; ``seen`` lists the places it was asked about."""

    def __init__(self, script, special_tokens=()):
        self.script, self.special_tokens, self.seen, self.started = script, special_tokens, [], 0

    model_id = "scripted:meta"

    async def start(self):
        self.started += 1

    async def close(self):
        self.started = 0

    async def rate(self, cases):
        await asyncio.sleep(0)
        self.seen += [(case.item.id, *place_of(case.judgment)) for case in cases]
        return [self.script(case) for case in cases]


def by_seed(case):
    return Rating(case.judgment.seed % 97 / 97)


def item(number):
    return Item(f"q{number}", (Message("user", f"question {number}"),), ("answer 0", "answer 1"), best=1)


def noisy(request, j):
    seed = request.seed + j
    return "no box" if seed % 7 == 0 else judgment_text([1 + seed % 9, 1 + seed // 11 % 9])


async def judged(meta, number=0, script=noisy, **settings):
    return await GRMJudge(ScriptedEngine(script), judge_settings(**settings), meta=meta).judge(item(number))


async def test_worked_example_through_the_judge():
    rows = iter([(1, 5), (5, 6), (4, 8), (7, 6)])
    meta = Scripted(lambda case: Rating({0: 0.9, 1: 0.2, 2: 0.8, 3: 0.1}[case.judgment.index]))
    verdict = await judged(meta, script=lambda r, j: judgment_text(next(rows)), k=4, ordering="fixed")
    assert verdict.kept == (0, 2)
    assert verdict.totals == (5, 13)
    assert set(verdict.as_row()) == {
        "id", "best", "ranking", "totals", "means", "spread", "k", "valid", "invalid", "tied", "confidence", "error",
    }  # fmt: skip


async def test_only_valid_judgments_are_rated():
    meta = Scripted(by_seed)
    verdict = await judged(meta, k=16)
    valid = [(verdict.id, *place_of(j)) for j in verdict.judgments if j.problem is None]
    assert verdict.invalid > 0
    assert meta.seen == valid
    assert len(verdict.kept) == 8


async def test_a_meta_rm_that_keeps_all_changes_nothing():
    plain = await judged(None, k=6)
    guided = await judged(Scripted(by_seed), k=6, k_meta=6)
    assert guided.as_row() == plain.as_row()


async def test_a_failed_request_of_the_meta_rm_is_the_items_error():
    def fails(case):
        raise ReplyError("garbage")

    verdict = await judged(Scripted(fails), k=4)
    assert (verdict.error.type, verdict.error.message) == ("ReplyError", "garbage")
    assert verdict.best is None
    assert verdict.sampled == 4


async def test_settings_that_cannot_be():
    with pytest.raises(InputError, match="k_meta is 2 and there is no meta RM"):
        await judged(None, k=4, k_meta=2)
    with pytest.raises(InputError, match="k_meta is 5; expected 1 to k = 4"):
        await judged(Scripted(by_seed), k=4, k_meta=5)
    with pytest.raises(InputError, match="adaptive k stops by the plain vote's margins"):
        await judged(Scripted(by_seed), k=4, adaptive=0.9)


def test_the_meta_rm_is_among_what_a_verdict_depends_on():
    judge = GRMJudge(ScriptedEngine(noisy), judge_settings(k=4, k_meta=1), meta=Scripted(by_seed))
    described = judge.describe()
    assert (described["meta"], described["k_meta"]) == ("scripted:meta", 1)
    assert "meta" not in GRMJudge(ScriptedEngine(noisy), judge_settings(k=4)).describe()


async def run(path, meta, *, create, count=8, k=6):
    judge = GRMJudge(ScriptedEngine(noisy), judge_settings(k=k), meta=meta)
    store = RunStore.create(path, SETTINGS) if create else RunStore.open(path, write=True)
    try:
        outcomes = judge_items(judge, [item(n) for n in range(count)], in_flight=3, store=store)
        return [outcome.verdict async for outcome in outcomes]
    finally:
        store.close()


async def test_ratings_are_kept_and_never_made_twice(tmp_path):
    meta = Scripted(by_seed)
    whole = await run(tmp_path, meta, create=True)
    again = Scripted(by_seed)
    assert [v.as_row() for v in await run(tmp_path, again, create=False)] == [v.as_row() for v in whole]
    assert again.seen == []
    store = RunStore.open(tmp_path)
    assert store.metas() == ["scripted:meta"]
    assert store.count("ratings") == len(meta.seen) == len(set(meta.seen))
    store.close()


async def test_a_resumed_run_rates_only_what_is_missing(tmp_path):
    whole_meta = Scripted(by_seed)
    whole = await run(tmp_path / "whole", whole_meta, create=True)

    def dying(case):
        if case.item.id == "q4":
            raise EngineError("killed")
        return by_seed(case)

    first = Scripted(dying)
    with pytest.raises(EngineError, match="killed"):
        await run(tmp_path / "stopped", first, create=True)
    rest = Scripted(by_seed)
    resumed = await run(tmp_path / "stopped", rest, create=False)
    assert [v.as_row() for v in resumed] == [v.as_row() for v in whole]
    assert [v.kept for v in resumed] == [v.kept for v in whole]
    rated_before = {place for place in first.seen if place[0] != "q4"}
    assert rated_before.isdisjoint(rest.seen)
    assert rated_before | set(rest.seen) == set(whole_meta.seen)


async def test_raising_k_rates_the_new_judgments_alone(tmp_path):
    small = Scripted(by_seed)
    await run(tmp_path, small, create=True, k=4)
    more = Scripted(by_seed)
    grown = await run(tmp_path, more, create=False, k=8)
    assert set(small.seen).isdisjoint(more.seen)
    assert all(v.k == 8 and len(v.kept) <= 4 for v in grown)


async def test_grm_starts_and_closes_its_meta_rm():
    meta = Scripted(by_seed)
    async with GRM(ScriptedEngine(noisy), meta=meta, k=4, k_meta=1) as grm:
        verdict = await grm.ajudge(item(0))
        assert meta.started
    assert len(verdict.kept) == 1
    assert meta.started == 0
    assert GRM(ScriptedEngine(noisy), meta="random:3").meta.model_id == load_meta("random:3").model_id


async def test_a_verdict_says_what_it_is_over():
    meta = Scripted(lambda case: Rating(1.0 - case.judgment.index / 10))
    text = str(await judged(meta, k=4, script=lambda r, j: judgment_text([3, 8])))
    assert "the vote is over the judgments that the meta RM rates best: 0, 1" in text
