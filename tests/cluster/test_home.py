import contextlib
import sqlite3

import pytest

from spct.cluster.cut import cut
from spct.cluster.home import Home
from spct.cluster.shard import ShardDone
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import ResumeRefusedError, RunError
from spct.items import parse_item
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.run import RunStore, judge_items, opened_run


def items(count=5):
    return [parse_item({"prompt": f"question {n}", "responses": ["a", "b"]}, where="here") for n in range(count)]


def judge(k=2):
    return GRMJudge(
        ScriptedEngine(lambda request, j: judgment_text([1 + (request.seed + j) % 10, 5])), judge_settings(k=k)
    )


async def judged(some, out):
    by = judge()
    with opened_run(out, by, resume=False) as store:
        store.keep_notes([f"of {len(some)} items"])
        async for _ in judge_items(by, some, in_flight=1, store=store):
            pass
    return (out / "run.sqlite").read_bytes()


def begun(tmp_path, made, resume=True, k=2):
    return Home.begun(tmp_path / "out", made, judge(k).describe(), {}, judge(k).templates, resume=resume)


def rows(run):
    with contextlib.closing(RunStore.open(run)) as store:
        return [(position, item, row) for position, item, row in store.items_and_verdicts()], list(store.judgments())


@pytest.fixture
def made(tmp_path):
    return cut(items(), tmp_path / "out", 2, {})


async def test_shards_come_home_in_any_order(tmp_path, made):
    data = [await judged(items()[b : b + 2], tmp_path / f"shard-{b}") for b in (0, 2, 4)]
    home = begun(tmp_path, made, resume=False)
    for number in (2, 0):
        home.add(made.shards[number], ShardDone(data[number], b"parquet", number, None))
    assert ([shard.number for shard in home.left], home.set_aside) == ([1], 2)
    home.close()
    again = begun(tmp_path, made)
    assert [shard.number for shard in again.left] == [1]
    again.add(made.shards[1], ShardDone(data[1], b"parquet", 0, None))
    again.took(2.5)
    again.close()
    await judged(items(), tmp_path / "whole")
    assert rows(tmp_path / "out") == rows(tmp_path / "whole")
    with contextlib.closing(RunStore.open(tmp_path / "out")) as store:
        assert store.notes() == ["of 1 items", "of 2 items"]
    assert sorted(path.name for path in (tmp_path / "out" / "shards").iterdir()) == ["cut.json"]
    assert (tmp_path / "out" / "verdicts" / "000001.parquet").read_bytes() == b"parquet"


async def test_a_shard_that_cannot_be_added_leaves_the_run_as_it_was(tmp_path, made):
    """Its rows and the note that it is done are one transaction."""
    await judged(items()[:2], tmp_path / "shard")
    with contextlib.closing(sqlite3.connect(tmp_path / "shard" / "run.sqlite")) as db:
        db.execute("DROP TABLE verdicts")
    home = begun(tmp_path, made)
    with pytest.raises(RunError, match="no such table"):
        home.add(made.shards[0], ShardDone((tmp_path / "shard" / "run.sqlite").read_bytes(), b"", 0, None))
    home.close()
    assert rows(tmp_path / "out") == ([], [])
    assert len(begun(tmp_path, made).left) == 3


async def test_a_half_done_shard_waits_at_home(tmp_path, made):
    home = begun(tmp_path, made)
    assert home.half_done(made.shards[0]) is None
    home.keep(made.shards[0], b"half")
    assert home.half_done(made.shards[0]) == b"half"
    home.add(made.shards[0], ShardDone(await judged(items()[:2], tmp_path / "shard"), b"", 0, None))
    home.keep(made.shards[0], b"late")
    assert home.half_done(made.shards[0]) is None
    home.close()


async def test_what_one_process_went_on_with_is_refused(tmp_path, made):
    begun(tmp_path, made).close()
    by = judge()
    with opened_run(tmp_path / "out", by, resume=True) as store:
        async for _ in judge_items(by, items(), in_flight=1, store=store):
            pass
    with pytest.raises(ResumeRefusedError, match="has been gone on with by one process"):
        begun(tmp_path, made)


def test_other_settings_are_refused_a_larger_k_among_them(tmp_path, made):
    begun(tmp_path, made).close()
    with pytest.raises(ResumeRefusedError, match="k: 2 in the run, 3 now"):
        begun(tmp_path, made, k=3)
    home = begun(tmp_path, made)
    with pytest.raises(ResumeRefusedError, match="k: 2 in the run, 4 now"):
        home.check(judge(4).describe())
    home.close()
