"""A run's file that someone changed: one error that names the run, whichever column holds what."""

import asyncio
import contextlib
import shutil
import sqlite3

import orjson
import pytest

from service.serving import by_digit
from spct.bench.scoring.stored import open_stored
from spct.engines.scripted import ScriptedEngine
from spct.errors import RunError
from spct.judges.grm import GRMJudge
from spct.judges.settings import JudgeSettings
from spct.run import RunStore, judge_items, open_run
from spct.run.listing import run_facts
from spct.run.merging import merge_runs
from spct.run.revote import revote
from spct.run.stored import stored_items, stored_settings
from spct.types import Item, Message
from spct.voting.ratings import Rating


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two items with ratings by "rm"."""
    directory = tmp_path_factory.mktemp("damage") / "run"
    asyncio.run(_judge_into(directory))
    return directory


async def _judge_into(directory):
    judge = GRMJudge(ScriptedEngine(by_digit), JudgeSettings(k=2))
    items = [Item(str(i), (Message("user", f"q{i}"),), ("3", "9")) for i in range(2)]
    store = open_run(directory, judge, resume=False)
    outcomes = [outcome async for outcome in judge_items(judge, items, in_flight=1, store=store)]
    for outcome in outcomes:
        store.record_ratings(outcome.position, "rm", {(0, 0, 0): Rating(0.5, None), (1, 0, 0): Rating(0.25, None)})
    store.close()


def read_all(directory):
    """Everything that any command reads of a run."""
    with contextlib.closing(RunStore.open(directory)) as store:
        _, settings = stored_settings(store)
        (
            store.sessions(),
            store.meta_prompts(),
            store.templates(),
            store.notes(),
            store.usage(),
            store.metas(),
            store.problem_counts(),
        )
        for position, _ in store.item_ids():
            store.requests(position), store.ratings(position, "rm"), store.item(position)
        list(store.all_ratings("rm")), list(store.score_rows()), list(store.verdict_rows())
        list(stored_items(store, settings, "rm")), list(stored_items(store, settings))
        list(revote(store, settings)), list(revote(store, settings, "rm"))
    run_facts(directory)


WRONG = [5, "", "{}", "[[1,2]]", b"\xff\xfe", "[99]", '["a","b"]']
COLUMNS = {
    "meta": ["value"],
    "sessions": ["started", "facts"],
    "templates": ["name", "texts"],
    "items": ["id", "row"],
    "requests": ["answered", "seconds", "completion_tokens"],
    "prompts": ["messages"],
    "judgments": ["idx", "shown", "text", "reasoning", "finish_reason", "scores", "problem", "expected", "completion_tokens"],
    "ratings": ["idx", "rating", "problem"],
    "verdicts": ["row"],
}  # fmt: skip


@pytest.mark.parametrize(("table", "column"), [(table, column) for table in COLUMNS for column in COLUMNS[table]])
def test_whatever_a_column_holds_is_read_or_one_error(run, table, column):
    file, refused = (run / "run.sqlite").read_bytes(), 0
    for wrong in WRONG:
        (run / "run.sqlite").write_bytes(file)
        with contextlib.closing(sqlite3.connect(run / "run.sqlite")) as db, contextlib.suppress(sqlite3.IntegrityError):
            db.execute(f"UPDATE {table} SET {column} = ?", [wrong])
            db.commit()
        try:
            read_all(run)
        except RunError as error:
            refused += 1
            assert str(run) in str(error)
    (run / "run.sqlite").write_bytes(file)
    if (table, column) in {("verdicts", "row"), ("judgments", "shown"), ("judgments", "scores"), ("items", "row")}:
        assert refused >= len(WRONG) - 1


@pytest.mark.parametrize("wrong", ["", "{", "[]", "3", b"\xff\xfe"])
def test_settings_are_read_or_one_error_wherever_they_are_read(run, tmp_path, wrong):
    damaged = tmp_path / "damaged"
    shutil.copytree(run, damaged)
    with contextlib.closing(sqlite3.connect(damaged / "run.sqlite")) as db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'settings'", [wrong])
        db.commit()
    judge = GRMJudge(ScriptedEngine(by_digit), JudgeSettings(k=2))
    for use in (
        run_facts,
        lambda directory: merge_runs([directory, run], tmp_path / "merged"),
        lambda directory: open_run(directory, judge, resume=True),
        open_stored,
    ):
        with pytest.raises(RunError, match="damaged: its settings cannot be read back"):
            use(damaged)


@pytest.mark.parametrize(
    "meta",
    [[], {}, {"id": 5}, {"id": "m", "prompt": {}}, {"id": "m", "prompt": []},
     {"id": "m", "prompt": {"name": "p", "digest": "d", "texts": []}},
     {"id": "m", "prompt": {"name": "p", "digest": "d", "texts": {"p.jinja": 5}}},
     {"id": "m", "prompt": {"name": "p", "digest": 5, "texts": {"p.jinja": "text"}}}],
)  # fmt: skip
def test_a_session_that_tells_no_meta_rm_is_one_error(run, tmp_path, meta):
    copy = shutil.copytree(run, tmp_path / "run")
    with contextlib.closing(sqlite3.connect(copy / "run.sqlite")) as db:
        db.execute(
            "INSERT INTO sessions VALUES ('2026-11-29T12:00:00+00:00', ?)", [orjson.dumps({"meta": meta}).decode()]
        )
        db.commit()
    with contextlib.closing(RunStore.open(copy)) as store, pytest.raises(RunError, match="damaged"):
        store.sessions()
