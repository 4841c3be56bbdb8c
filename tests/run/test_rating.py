"""A run rated after the fact: the prompts are those that were judged, with what its first steps wrote."""

import pytest

from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import TemplateError
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.run import RunStore, judge_items
from spct.run.rating import rate_run
from spct.types import Item, Message
from spct.voting.ratings import Rating

ITEM = Item("q", (Message("user", "Which is larger?"),), ("9", "11"), best=1)


class Rates:
    """A meta RM that keeps what it is asked."""

    model_id = "test:rates"
    special_tokens = ()

    def __init__(self):
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


async def judged(store, settings, **more):
    engine = ScriptedEngine(script)
    judge = GRMJudge(engine, settings)
    store.add_templates(judge.templates)
    outcomes = [outcome async for outcome in judge_items(judge, [ITEM], in_flight=1, store=store)]
    return engine, outcomes


@pytest.mark.parametrize(("template", "texts"), [("focus", 2), ("own-answer", 1)])
async def test_the_text_of_the_first_step_is_in_the_prompt_that_is_rated(tmp_path, template, texts):
    settings, store = judge_settings(template=template, k=4), RunStore.create(tmp_path, {})
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
    settings, store = judge_settings(template="focus", k=2), RunStore.create(tmp_path, {})
    await judged(store, settings)
    for key in list(store.first_texts):
        del store.first_texts[key]
    with pytest.raises(TemplateError, match="does not keep what its first step \\(focus-points\\) wrote"):
        await rate_run(store, settings, Rates())
