"""Rows are written in bulk, in one transaction a batch, and committed while the event loop goes on."""

import asyncio
import sqlite3

import pytest

from spct.errors import RunError
from spct.run.writer import Writer

INSERT = "INSERT INTO t VALUES (?, ?)"


@pytest.fixture
def db(tmp_path):
    connection = sqlite3.connect(tmp_path / "x.sqlite", check_same_thread=False)
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
    return connection


def committed(tmp_path):
    return sqlite3.connect(tmp_path / "x.sqlite").execute("SELECT a, b FROM t ORDER BY a").fetchall()


@pytest.mark.parametrize("count", [0, 1, 101])
def test_every_row_is_written_however_many(tmp_path, db, count):
    rows = [(number, f"text {number}") for number in range(count)]
    writer = Writer(tmp_path, db)
    writer.put(INSERT, rows)
    writer.commit()
    assert committed(tmp_path) == rows
    writer.close()


async def test_what_is_put_during_a_commit_comes_with_the_next(tmp_path, db):
    writer = Writer(tmp_path, db)
    writer.put(INSERT, [(1, "a")])
    first = writer.next_commit
    await first
    assert committed(tmp_path) == [(1, "a")]
    for number in range(2, 49):
        writer.put(INSERT, [(number, "b")])
        await asyncio.sleep(0.001)
    writer.put(INSERT, [(49, "c")])
    second = writer.next_commit
    assert second is not first
    await second
    assert len(committed(tmp_path)) == 49
    assert writer.next_commit is None
    writer.close()


async def test_a_failed_write_fails_those_who_wait_and_all_that_follows(tmp_path, db):
    writer = Writer(tmp_path, db)
    writer.put(INSERT, [(1, "a"), (1, "again")])
    commit = writer.next_commit
    with pytest.raises(RunError, match="UNIQUE"):
        await commit
    with pytest.raises(RunError, match="UNIQUE"):
        writer.put(INSERT, [(2, "b")])
    writer.close()
    assert committed(tmp_path) == []


def test_a_closed_writer_has_written_everything(tmp_path, db):
    writer = Writer(tmp_path, db)
    writer.put(INSERT, [(1, "a")])
    writer.put("DELETE FROM t WHERE a = ?", [(1,)])
    writer.put(INSERT, [(2, "b")])
    writer.close()
    assert committed(tmp_path) == [(2, "b")]


async def test_closing_leaves_nothing_to_the_event_loop(tmp_path, db):
    loop, reported = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: reported.append(context))
    for number in range(3):
        writer = Writer(tmp_path, db)
        writer.put(INSERT, [(number, "a")])
        if number:
            await asyncio.sleep(0.01 * number)
        writer.close()
    await asyncio.sleep(0.05)
    assert reported == []
    assert len(committed(tmp_path)) == 3


async def test_whatever_keeps_rows_from_being_written_is_told_to_those_who_wait(tmp_path, db):
    for bad in (2**63, "\ud800", object()):
        writer = Writer(tmp_path, db)
        writer.put(INSERT, [(bad, "a")])
        with pytest.raises(RunError):
            await writer.next_commit
        writer.close()
    assert committed(tmp_path) == []


async def test_closing_answers_those_who_wait(tmp_path, db):
    writer = Writer(tmp_path, db)
    writer.put(INSERT, [(1, "a")])
    waiting = writer.next_commit
    writer.close()
    await waiting
    failing = Writer(tmp_path, db)
    failing.put(INSERT, [(1, "again")])
    waiting = failing.next_commit
    failing.close()
    with pytest.raises(RunError, match="UNIQUE"):
        await waiting
