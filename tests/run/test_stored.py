import contextlib

import pytest

from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import RunError
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.run import RunStore, judge_items, open_run
from spct.run.listing import run_facts
from spct.run.opening import begun
from spct.run.stored import stored_items, stored_settings
from spct.types import Item, Message
from spct.views.export import run_table


def items(count, n=2):
    return [
        Item(f"i{i}", (Message("user", f"question {i}"),), tuple(f"r{j}" for j in range(n)), best=0)
        for i in range(count)
    ]


def by_seed(request, j):
    n = request.messages[-1].content.count("[Begin response")
    seed = request.seed + j
    if seed % 7 == 0:
        return "invalid"
    return judgment_text([1 + (seed + 3 * place) % 10 for place in range(n)])


async def run_into(directory, source, **settings):
    judge = GRMJudge(ScriptedEngine(by_seed), judge_settings(**settings))
    store = open_run(directory, judge, resume=False)
    return store, [outcome async for outcome in judge_items(judge, source, in_flight=2, store=store)]


async def test_a_finished_run_reads_back_as_it_was(tmp_path):
    store, outcomes = await run_into(tmp_path, items(5), k=4, seed=3)
    written, settings = stored_settings(store)
    assert written["model"] == "scripted:scripted"
    assert (settings.k, settings.seed, settings.sampling.temperature) == (4, 3, 0.5)
    stored = list(stored_items(store, settings))
    assert [s.verdict for s in stored] == [outcome.verdict for outcome in outcomes]
    assert [s.item for s in stored] == items(5)
    assert all(s.finished for s in stored)
    store.close()


async def test_an_unfinished_item_is_voted_on_as_far_as_it_got(tmp_path):
    store, _ = await run_into(tmp_path, items(2), k=6)
    whole = store.history(1)
    store._db.execute("DELETE FROM verdicts WHERE position = 1")
    store._db.execute("DELETE FROM judgments WHERE position = 1 AND idx >= 2")
    _, settings = stored_settings(store)
    first, second = stored_items(store, settings)
    assert first.finished and not second.finished
    assert second.verdict.judgments == tuple(j for j in whole if j.index < 2)
    assert second.verdict.k == 6
    store.close()


async def test_an_unfinished_item_in_blocks_is_reconciled(tmp_path):
    store, outcomes = await run_into(tmp_path, items(1, n=7), k=3, block_size=3)
    store._db.execute("DELETE FROM verdicts")
    _, settings = stored_settings(store)
    (stored,) = stored_items(store, settings)
    assert not stored.finished
    assert stored.verdict == outcomes[0].verdict
    store.close()


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", '{"k": 0}', '{"k": "many"}'])
def test_settings_that_cannot_be_read_are_a_run_error(tmp_path, text):
    store = RunStore.create(tmp_path, {"settings": text})
    with pytest.raises(RunError, match="its settings cannot be read"):
        stored_settings(store)
    store.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE judgments SET scores = '[1,' WHERE position = 1",
        "UPDATE verdicts SET row = '{}' WHERE position = 1",
        "UPDATE judgments SET shown = '3' WHERE position = 1",
    ],
)
async def test_a_damaged_item_is_a_run_error(tmp_path, damage):
    store, _ = await run_into(tmp_path, items(2), k=2)
    store._db.execute(damage)
    _, settings = stored_settings(store)
    with pytest.raises(RunError, match=r"item \d cannot be read back .* damaged or was written by another version"):
        list(stored_items(store, settings))
    store.close()


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ({}, "grm"),
        ({"judge": "rubric"}, "rubric"),
        ({"imported": "jsonl"}, "imported (jsonl)"),
        ({"imported": "judgebench", "judge": "vanilla"}, "vanilla, imported (judgebench)"),
    ],
)
def test_what_judged_a_run_is_said_in_one_way(tmp_path, written, text):
    with contextlib.closing(begun(tmp_path, {"model": "m", "k": 1, **written}, {})) as store:
        table = run_table(store)
        assert (list(table.rows), dict(table.facts())["judge"]) == ([], f"{text}, m")
    assert run_facts(tmp_path).judge == text
