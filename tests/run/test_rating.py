"""A run rated after the fact: the prompts are those that were judged, with what its first steps wrote."""

import asyncio
import contextlib
import json
import platform
from dataclasses import replace
from importlib.metadata import version

import pytest

from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import EngineError, InputError, TemplateError
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.meta.prompt import prompt_row
from spct.run import RunStore, judge_items
from spct.run.opening import add_session
from spct.run.rating import SMALLEST_CHUNK, UNDER_WAY, rate_run
from spct.templates import load_template
from spct.types import Item, Message
from spct.voting.ratings import Rating

ITEM = Item("q", (Message("user", "Which is larger?"),), ("9", "11"), best=1)


MANY = [replace(ITEM, id=f"q{n}", messages=(Message("user", f"Which is larger? ({n})"),)) for n in range(40)]


class Rates:
    """A meta RM that keeps what it is asked."""

    model_id = "test:rates"
    special_tokens = ()
    notes: tuple[str, ...] = ()

    def __init__(self):
        self.configuration = {"server": "http://127.0.0.1:1", "prompt": prompt_row(load_template("meta-rm"))}
        self.prompts = set()

    async def start(self):
        pass

    async def close(self):
        pass

    async def rate(self, cases):
        self.prompts |= {case.prompt for case in cases}
        return [Rating(0.5) for _ in cases]


def script(request, j):
    text = request.messages[0].content
    if "Points to check" in text:
        return f"#### Points to check\n1. {'nine' if text.index('9') < text.index('11') else 'eleven'} comes first"
    return judgment_text([3, 4])


async def judged(store, settings):
    engine = ScriptedEngine(script)
    judge = GRMJudge(engine, settings)
    store.add_templates(judge.templates)
    outcomes = [outcome async for outcome in judge_items(judge, [ITEM], in_flight=1, store=store)]
    return engine, outcomes


@pytest.mark.parametrize(("template", "texts"), [("focus", 2), ("own-answer", 1)])
async def test_the_text_of_the_first_step_is_in_the_prompt_that_is_rated(tmp_path, template, texts):
    settings, store = judge_settings(template=template, k=4), RunStore.create(tmp_path, {"settings": "{}"})
    engine, _ = await judged(store, settings)
    assert len(store.first_texts) == texts
    asked = [request.messages for request in engine.requests][texts:]
    meta = Rates()
    totals = await rate_run(store, settings, meta)
    assert (totals.rated, totals.problems) == (4, 0)
    assert meta.prompts == set(asked)
    again, _ = await judged(store, judge_settings(template=template, k=6))
    assert len(again.requests) == 2  # one more judgment of each order, no first step
    assert {request.messages for request in again.requests} == set(asked)


async def test_a_text_that_is_not_kept_is_asked_for_by_name(tmp_path):
    settings, store = judge_settings(template="focus", k=2), RunStore.create(tmp_path, {"settings": "{}"})
    await judged(store, settings)
    for key in list(store.first_texts):
        del store.first_texts[key]
    with pytest.raises(TemplateError, match="does not keep what its first step \\(focus-points\\) wrote"):
        await rate_run(store, settings, Rates())


class AnswersLate(Rates):
    """Rates when ``all_of`` judgments are asked for at once; the chunk that holds the judgment of item ``fails`` fails instead."""

    def __init__(self, all_of, fails=None):
        super().__init__()
        self.left, self.fails = all_of, fails
        self.asked, self.last_begun, self.stopped = asyncio.Event(), asyncio.Event(), 0

    async def rate(self, cases):
        self.left -= len(cases)
        if self.left <= 1:
            self.last_begun.set()
        if self.left <= 0:
            self.asked.set()
        if self.fails in {case.item.id for case in cases}:
            raise EngineError("the server is gone")
        try:
            await self.asked.wait()
        except asyncio.CancelledError:
            self.stopped += len(cases)
            raise
        return await super().rate(cases)


async def many_judged(directory, k=4):
    settings, store = judge_settings(k=k), RunStore.create(directory, {"settings": "{}"})
    judge = GRMJudge(ScriptedEngine(script), settings)
    store.add_templates(judge.templates)
    _ = [outcome async for outcome in judge_items(judge, MANY, in_flight=8, store=store)]
    return store, settings


async def test_a_slow_server_is_asked_about_many_judgments_at_once(tmp_path):
    store, settings = await many_judged(tmp_path)
    assert (await rate_run(store, settings, AnswersLate(160))).rated == store.count("ratings") == 160


@pytest.mark.parametrize("raters", [1, 2])
async def test_no_more_is_under_way_than_so_many_meta_rms_are_to_have(tmp_path, raters):
    class Counts(Rates):
        now = most = 0

        async def rate(self, cases):
            self.now += len(cases)
            self.most = max(self.most, self.now)
            for _ in range(50):
                await asyncio.sleep(0)
            self.now -= len(cases)
            return await super().rate(cases)

    store, settings = await many_judged(tmp_path, k=32)
    meta = Counts()
    assert (await rate_run(store, settings, meta, raters=raters)).rated == 1280
    assert raters * UNDER_WAY - SMALLEST_CHUNK - 32 < meta.most <= raters * UNDER_WAY


async def test_what_is_under_way_is_stored_when_the_meta_rm_fails(tmp_path):
    store, settings = await many_judged(tmp_path)
    with pytest.raises(EngineError, match="the server is gone"):
        await rate_run(store, settings, AnswersLate(160, fails="q17"))
    assert 160 - 16 <= store.count("ratings") < 160
    assert store.ratings(17, Rates.model_id) == {}
    assert (await rate_run(store, settings, Rates())).already == 144


async def test_stopped_it_stops_what_is_under_way(tmp_path):
    store, settings = await many_judged(tmp_path)
    meta = AnswersLate(161)
    work = asyncio.create_task(rate_run(store, settings, meta))
    await meta.last_begun.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (meta.stopped, store.count("ratings")) == (160, 0)


async def test_a_run_keeps_when_it_was_rated_and_by_what(tmp_path):
    store, settings = await many_judged(tmp_path, k=1)
    add_session(store, {"engine": {"server": "http://127.0.0.1:2"}, "k": 1, "items": 40})
    before, meta = store.sessions(), Rates()
    await rate_run(store, settings, meta)
    await rate_run(store, settings, meta)  # nothing is left to rate: no session
    judged, rated = store.all_sessions()
    assert store.sessions() == before == [judged]  # as every reader of a run's date, items and server takes them
    assert rated[0] > judged[0]
    assert rated[1] == {
        "spct": version("spct"),
        "python": platform.python_version(),
        "rating": True,
        "meta": {"id": "test:rates", **meta.configuration},
    }
    (((id, digest), texts),) = store.meta_prompts().items()
    template = load_template("meta-rm")
    assert (id, digest, texts) == ("test:rates", template.digest, template.texts)


@pytest.mark.parametrize("fails", [None, "q39"])
async def test_what_a_meta_rm_noted_is_kept_whatever_ends_the_rating(tmp_path, fails):
    class Notes(AnswersLate):
        async def rate(self, cases):
            ratings = await super().rate(cases)
            self.notes = ("the server rounds",)  # as an engine that finds out when it is asked
            return ratings

    store, settings = await many_judged(tmp_path)
    meta = Notes(160, fails)
    with pytest.raises(EngineError) if fails else contextlib.nullcontext():
        await rate_run(store, settings, meta)
    assert store.notes() == ["meta RM test:rates: the server rounds"]


@pytest.mark.parametrize(
    ("written", "what"), [({"judge": "pairwise"}, "of the judge pairwise"), ({"judge": "classifier"}, "of the judge")]
)
async def test_what_is_no_text_of_a_model_about_every_response_is_not_rated(tmp_path, written, what):
    store = RunStore.create(tmp_path, {"settings": json.dumps(written)})
    with pytest.raises(InputError, match=f"is a run {what}"):
        await rate_run(store, judge_settings(), Rates())
