"""A shard on one machine: gone on with from what is there, and items over which actors died."""

import asyncio
import contextlib
import shutil

import pytest

from spct.cluster.actor import Failure, JudgeActor
from spct.cluster.cut import cut
from spct.cluster.shard import MARKS, Progress, ShardRun, Work, copy_of
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import EngineError
from spct.items import parse_item
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.run import RunStore, judge_items, opened_run

pytest.importorskip("pyarrow")


def by_seed(request, j):
    return judgment_text([1 + (request.seed + j) % 10, 5])


def items(count=6):
    return [
        parse_item({"id": f"q{n}", "prompt": f"question {n}", "responses": ["a", "b"]}, where="here")
        for n in range(count)
    ]


def judge_by(engine):
    return GRMJudge(engine, judge_settings(k=2))


@pytest.fixture
def work(tmp_path):
    """The work on the one shard; what it leaves on this disk goes with the test."""
    made = cut(items(), tmp_path, 10, {})

    def of(name="000000", home=None, **more):
        return Work(made.id, name, made.read(made.shards[0]), home, **more)

    yield of
    shutil.rmtree(of().directory.parent, ignore_errors=True)


async def run(work, engine=None, in_flight=2):
    engine = engine or ScriptedEngine(by_seed)
    progress = Progress()
    done = await ShardRun(judge_by(engine), {}, work, in_flight, progress, lambda: None).run()
    return done, len(engine.requests), progress


def rows_in(data, folder):
    (folder / "look").mkdir(exist_ok=True)
    (folder / "look" / "run.sqlite").write_bytes(data)
    with contextlib.closing(RunStore.open(folder / "look")) as store:
        return list(store.verdict_rows())


async def whole(tmp_path):
    judge = judge_by(ScriptedEngine(by_seed))
    with opened_run(tmp_path / "whole", judge, resume=False) as store:
        outcomes = [outcome async for outcome in judge_items(judge, items(), in_flight=2, store=store)]
    return [(outcome.position, outcome.verdict.as_row()) for outcome in outcomes]


async def test_a_shard_is_a_run_and_the_verdicts_beside_it(work, tmp_path):
    done, asked, progress = await run(work())
    assert rows_in(done.run, tmp_path) == await whole(tmp_path)
    assert (done.set_aside, asked, progress.items, progress.judgments) == (0, 12, 6, 12)
    import pyarrow.parquet as parquet

    (tmp_path / "v.parquet").write_bytes(done.verdicts)
    assert parquet.read_table(tmp_path / "v.parquet").column("id").to_pylist() == [f"q{n}" for n in range(6)]


async def test_a_second_try_asks_for_nothing_that_is_on_the_disk(work):
    await run(work())
    assert (await run(work()))[1] == 0


async def test_a_new_machine_goes_on_from_what_was_brought_home(work, tmp_path):
    await run(work())
    home = copy_of(work().directory)
    assert (await run(work("elsewhere", home)))[1] == 0
    assert copy_of(tmp_path / "nowhere") is None


async def test_what_is_on_the_disk_counts_where_it_is_more(work):
    directory = work().directory
    await run(work())
    older = work("older")
    judge = judge_by(ScriptedEngine(by_seed))
    older.directory.mkdir(parents=True)
    with opened_run(older.directory, judge, resume=False) as store:
        async for _ in judge_items(judge, items(2), in_flight=1, store=store):
            pass
    assert (await run(work(home=copy_of(older.directory))))[1] == 0
    assert (await run(work("older", copy_of(directory))))[1] == 0


async def test_only_who_dies_alone_is_set_aside(work, tmp_path):
    """The first actor died with 1 and 4 in hand; the next one over 4, alone."""
    directory = work().directory
    judge = judge_by(ScriptedEngine(by_seed))
    directory.mkdir(parents=True)
    with opened_run(directory, judge, resume=False) as store:
        async for _ in judge_items(judge, items()[:1], in_flight=1, store=store):
            pass
    (directory / MARKS).write_text("0\n1\n4\n")
    order = []

    def noting(request, j):
        order.append(request.messages[-1].content.partition("question ")[2][:1])
        return by_seed(request, j)

    done, _, _ = await run(work(died="killed"), ScriptedEngine(noting), in_flight=6)
    assert [name for place, name in enumerate(order) if name not in order[:place]] == ["2", "3", "5", "1", "4"]
    assert rows_in(done.run, tmp_path) == await whole(tmp_path)
    assert (directory / MARKS).read_text() == "0\n1\n4\n0\n2\n3\n5\nalone 1\nalone 4\n"


async def test_the_killer_keeps_its_place_and_its_reason(work, tmp_path):
    directory = work().directory
    directory.mkdir(parents=True)
    (directory / MARKS).write_text("1\n4\nalone 4\n")
    done, asked, _ = await run(work(died="it was killed by signal 11"))
    found, expected = rows_in(done.run, tmp_path), await whole(tmp_path)
    assert [row for row in found if row[0] != 4] == [row for row in expected if row[0] != 4]
    error = dict(found)[4]["error"]
    assert (error["type"], error["message"].endswith("alone: it was killed by signal 11")) == ("ActorDied", True)
    assert (done.set_aside, asked) == (1, 10)
    again, asked, _ = await run(work())
    assert (again.set_aside, asked, rows_in(again.run, tmp_path)) == (1, 0, found)


async def test_marks_of_a_driver_that_died_accuse_nobody(work, tmp_path):
    directory = work().directory
    directory.mkdir(parents=True)
    (directory / MARKS).write_text("1\nalone 4\n")
    done, asked, _ = await run(work())
    assert (done.set_aside, asked) == (0, 12)


async def test_an_actor_begins_the_next_shard_while_the_last_items_of_one_are_judged(work, tmp_path):
    """Two shards of six items, two in flight: the second begins although one item of the first is not done."""
    gate, both, begun = asyncio.Event(), asyncio.Event(), []

    async def slow(request, j):
        begun.append(request.messages[-1].content.partition("question ")[2][:1])
        if begun[-1] == "5":
            if begun.count("5") == 4:  # two orders of the last item, in two shards
                both.set()
            await gate.wait()
        return by_seed(request, j)

    actor = JudgeActor(lambda: judge_by(ScriptedEngine(slow)), {}, 2)
    actor._judge = judge_by(ScriptedEngine(slow))
    other = work("other")
    first, second = (asyncio.create_task(actor.judge(one)) for one in (work(), other))
    await asyncio.wait_for(both.wait(), 60)
    assert not first.done()
    gate.set()
    assert rows_in((await first).run, tmp_path) == rows_in((await second).run, tmp_path) == await whole(tmp_path)
    await actor.forget(other)
    assert not other.directory.exists()


async def test_what_is_foreseen_comes_back_as_a_failure(work):
    actor = JudgeActor(lambda: None, {}, 1)
    actor._judge = judge_by(ScriptedEngine([EngineError("the server is gone")]))
    assert await actor.judge(work()) == Failure("EngineError", "the server is gone")
    assert await actor.progress() == Progress()
