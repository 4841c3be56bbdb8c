import asyncio
import contextlib
import gc
import sqlite3
from dataclasses import replace

import pytest

from spct.errors import ResumeRefusedError, RunError
from spct.run.connection import FILE, holds_run
from spct.run.store import RunStore
from spct.types import Item, Judgment, Message, Problem, Usage
from spct.voting.ratings import Rating, place_of

ITEM = Item("a", (Message("system", "s"), Message("user", "q — ü")), ("x", "y"), best=1, extra={"subset": "chat"})
GOOD = Judgment(
    0,
    (1, 0),
    7,
    "text \\boxed{1, 2}",
    "stop",
    (2, 1),
    expected=(1.5, 2.25),
    unresolved=(0.0, 0.125),
    completion_tokens=9,
)
BAD = Judgment(1, (0, 1), 8, "…", "length", None, Problem("truncated", "cut"), attempt=2, block=3, reasoning="because")


def test_judgments_come_back_as_they_were(tmp_path):
    store = RunStore.create(tmp_path, {"settings": "{}"})
    assert store.add_item(0, ITEM)
    prose = replace(GOOD, index=2, scores=(), expected=None)  # what no scores are read from, such as a critique
    store.record(0, [GOOD, BAD, prose], Usage(10, 20, 5, 1))
    store.record(0, [], Usage(1, 2, 0, 1))
    store.close()
    again = RunStore.open(tmp_path)
    assert again.history(0) == [GOOD, BAD, prose]
    assert again.history(1) == []
    assert list(again.items()) == [(0, ITEM)]
    assert again.usage() == again.usage(0) == Usage(11, 22, 5, 2)
    assert again.meta("settings") == "{}"
    again.close()


async def test_finish_returns_once_the_commit_is_made(tmp_path):
    store = RunStore.create(tmp_path, {})
    store.add_item(0, ITEM)
    store.record(0, [GOOD], Usage())
    other = sqlite3.connect(tmp_path / FILE)
    assert other.execute("SELECT count(*) FROM judgments").fetchone() == (0,)
    await asyncio.gather(store.finish(0, {"id": "a"}), store.finish(1, {"id": "b"}))
    assert other.execute("SELECT count(*) FROM judgments").fetchone() == (1,)
    assert list(RunStore.open(tmp_path).verdict_rows()) == [(0, {"id": "a"}), (1, {"id": "b"})]
    store.close()


def test_principles_are_a_mapping_on_disk(tmp_path):
    store = RunStore.create(tmp_path, {})
    store.first_texts["key"] = "1. Tone"
    store.close()
    again = RunStore.open(tmp_path)
    assert again.first_texts.get("key") == "1. Tone"
    assert again.first_texts.get("other") is None
    assert dict(again.first_texts) == {"key": "1. Tone"}


def test_another_item_in_the_same_place_is_refused(tmp_path):
    store = RunStore.create(tmp_path, {})
    store.add_item(0, ITEM)
    assert not store.add_item(0, ITEM)
    changed = Item("a", ITEM.messages, ("x", "z"))
    with pytest.raises(ResumeRefusedError, match="differs from 'a'"):
        store.add_item(0, changed)


@pytest.mark.parametrize("changed", [replace(ITEM, id="b"), replace(ITEM, responses=("x", "z"))])
def test_another_item_in_the_same_place_is_refused_at_resume(tmp_path, changed):
    store = RunStore.create(tmp_path, {})
    store.add_item(0, ITEM)
    store.close()
    again = RunStore.open(tmp_path, write=True)
    with pytest.raises(ResumeRefusedError, match=f"item 0 of the input is '{changed.id}' now and differs from 'a'"):
        again.add_item(0, changed)
    assert not again.add_item(0, ITEM)
    again.close()


def test_what_is_put_and_dropped_is_so_in_that_order(tmp_path):
    store = RunStore.create(tmp_path, {})
    place, later = place_of(GOOD), replace(GOOD, text="another")
    store.add_item(0, ITEM)
    store.record(0, [GOOD, BAD], Usage())
    store.record_ratings(0, "m", {place: Rating(0.5)})
    store.forget(0, [place, place_of(BAD)])
    store.record(0, [later], Usage())
    store.record_ratings(0, "m", {place: Rating(0.25)})
    assert store.history(0) == [later]
    store.forget_ratings(0, [place])
    store.close()
    again = RunStore.open(tmp_path)
    assert again.history(0) == [later]
    assert again.ratings(0, "m") == {}
    again.close()


async def test_a_commit_that_fails_unawaited_is_not_reported_by_the_event_loop(tmp_path):
    """Whoever waits for it raises it; a run that was cancelled meanwhile has nobody left who does."""
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["message"]))
    store = RunStore.create(tmp_path, {})
    store.add_item(0, ITEM)
    store.flush()
    store._db.execute("PRAGMA max_page_count = 1")
    store.record(0, [replace(GOOD, text="x" * 400_000)], Usage())
    await asyncio.wait([store.next_commit])  # which does not look at the outcome
    store.close()
    del store  # and with it the error, which holds on to the commit
    gc.collect()
    await asyncio.sleep(0)
    assert reported == []


def test_one_writer_at_a_time_and_no_second_create(tmp_path):
    store = RunStore.create(tmp_path, {})
    with pytest.raises(RunError, match="in use by another process"):
        RunStore.open(tmp_path, write=True)
    RunStore.open(tmp_path).close()
    store.close()
    with pytest.raises(RunError, match="already holds a run; add --resume"):
        RunStore.create(tmp_path, {})
    RunStore.open(tmp_path, write=True).close()


def test_no_run_there(tmp_path):
    assert not holds_run(tmp_path)
    with pytest.raises(RunError, match="holds no run"):
        RunStore.open(tmp_path / "nowhere")
    (tmp_path / FILE).write_bytes(b"")
    assert not holds_run(tmp_path)


def test_a_damaged_file_is_one_clear_error(tmp_path):
    (tmp_path / FILE).write_bytes(b"not a database at all, but long enough to be read as one" * 50)
    with pytest.raises(RunError, match="not a database"):
        RunStore.open(tmp_path)


def test_an_unwritable_place_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file"):
        RunStore.create(tmp_path / "file" / "run", {})


def test_after_a_failed_write_nothing_more_is_committed(tmp_path):
    store = RunStore.create(tmp_path, {})
    store.add_item(0, ITEM)
    store.flush()
    store._db.execute("PRAGMA max_page_count = 1")  # SQLite's own way to a full disk
    with pytest.raises(RunError, match="full; everything committed so far is kept"):
        for index in range(1000):
            store.record(0, [Judgment(index, (0, 1), 0, "x" * 4000, "stop", (1, 2))], Usage())
            store.flush()
    with pytest.raises(RunError, match="full"):
        store.record(0, [GOOD], Usage())
    store.close()
    assert [item for _, item in RunStore.open(tmp_path).items()] == [ITEM]


NAMES = ["lock", FILE, f"{FILE}-wal", f"{FILE}-shm", f"{FILE}-journal"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [b"precious", b"", None])
def test_a_link_in_the_place_of_a_runs_file_is_not_written_through(tmp_path, name, content):
    target, run = tmp_path / "target", tmp_path / "run"
    if content is not None:
        target.write_bytes(content)
    run.mkdir()
    (run / name).symlink_to(target)
    with contextlib.suppress(RunError):
        store = RunStore.create(run, {})
        store.add_item(0, ITEM)
        store.close()
    assert (target.read_bytes() if target.exists() else None) == content
    (run / name).unlink(missing_ok=True)
    if not (run / FILE).exists():
        RunStore.create(run, {}).close()


@pytest.mark.parametrize("bad", [{"prompt_tokens": 2**63}, {"completion_tokens": 2**70}, {"cached_tokens": -(2**64)}])
async def test_a_number_that_the_file_cannot_hold_fails_those_who_wait(tmp_path, bad):
    store = RunStore.create(tmp_path, {})
    store.record(0, [GOOD], Usage(**bad))
    with pytest.raises(RunError, match="too large"):
        await store.finish(0, {})
    store.close()
    assert RunStore.open(tmp_path).count("judgments") == 0


async def test_text_that_the_file_cannot_hold_fails_those_who_wait(tmp_path):
    store = RunStore.create(tmp_path, {})
    store.record(0, [replace(GOOD, text="\ud800")], Usage())
    with pytest.raises(RunError, match="surrogates"):
        await store.finish(0, {})
    store.close()


def test_a_reader_that_stops_early_leaves_nothing_behind(tmp_path):
    store = RunStore.create(tmp_path, {})
    for position in range(3):
        store.add_item(position, ITEM)
    rows = store.item_ids()
    assert next(rows) == (0, ITEM.id)
    store.close()
    del rows
