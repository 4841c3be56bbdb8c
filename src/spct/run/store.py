"""A run directory's samples, in one SQLite file (``run.sqlite``) in write-ahead mode.

SQLite because it is one file, in every Python, readable by every tool, and transactional: after ``kill -9`` the file holds
exactly the committed requests. All samples of a request are put together; what finishes within a moment is written in
bulk (see ``writer``) and shares a commit, and a verdict is reported only after the commit that holds its samples.

Failure rule: whatever SQLite or the file system refuses (full disk, damaged file, another process) is a RunError.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from spct.errors import ResumeRefusedError, RunError
from spct.items import fingerprint, item_to_row
from spct.items.images import reference_to
from spct.judges.memory import Prompt
from spct.run.asks import ASKS, Ask, ask_row
from spct.run.connection import FILE, connected, has_tables, holds_run
from spct.run.lock import DirectoryLock
from spct.run.reader import RunReader
from spct.run.rows import ABSORB, FORMAT, INSERT_JUDGMENT, SCHEMA, judgment_row
from spct.run.writer import Writer, as_run_error
from spct.templates import Template
from spct.types import Item, Judgment, Message, Usage
from spct.voting.ratings import Place, Ratings


class RunStore(RunReader):
    """The samples, items and verdicts of one run. Open it with ``create`` or ``open``; close it after use."""

    def __init__(self, directory: Path, connection: sqlite3.Connection, lock: DirectoryLock | None) -> None:
        super().__init__(directory, connection)
        self._lock = lock
        self._writer = Writer(directory, connection)
        self._end: int | None = None
        self._request: int | None = None
        self.first_texts: MutableMapping[str, str] = _FirstTexts(self)

    @classmethod
    def create(cls, directory: Path, meta: Mapping[str, str]) -> RunStore:
        """Make a run directory, which must not hold a run yet, with the facts that define the run."""
        with as_run_error(directory):
            directory.mkdir(parents=True, exist_ok=True)
            lock = DirectoryLock(directory)
            db = connected(lock, directory)
            if has_tables(db):
                db.close()
                lock.close()
                raise RunError(f"{directory} already holds a run; add --resume to go on with it, or name another --out")
            db.execute("BEGIN")
            for statement in SCHEMA.split(";")[:-1]:
                db.execute(statement)
            db.executemany("INSERT INTO meta VALUES (?, ?)", [("format", str(FORMAT)), *meta.items()])
            db.commit()
            return cls(directory, db, lock)

    @classmethod
    def open(cls, directory: Path, *, write: bool = False) -> RunStore:
        """Open an existing run: for reading by anyone at any time, for writing by one process at a time."""
        if not holds_run(directory):
            raise RunError(
                f"{directory} holds no run (no {FILE} with samples in it); give the directory named by --out"
            )
        with as_run_error(directory):
            lock = DirectoryLock(directory) if write else None
            store = cls(directory, connected(lock, directory), lock)
            if (found := store.meta("format")) != str(FORMAT):
                store.close()
                raise RunError(
                    f"{directory} was written in format {found}, and this version of spct reads format {FORMAT}: read it "
                    "with the version of spct that wrote it, or judge its items again into another --out"
                )
            return store

    def set_meta(self, key: str, value: str) -> None:
        self._writer.put("INSERT OR REPLACE INTO meta VALUES (?, ?)", [(key, value)])

    def add_session(self, started: str, facts: Mapping[str, Any]) -> None:
        """Note that work on the run begins: when, with what, on which input."""
        self._writer.put("INSERT INTO sessions VALUES (?, ?)", [(started, orjson.dumps(dict(facts)).decode())])
        self.flush()

    def add_templates(self, templates: Mapping[str, Template]) -> None:
        """Keep the whole text of each template with what it names, by its name or path in the settings."""
        rows = [(name, orjson.dumps(dict(template.texts)).decode()) for name, template in templates.items()]
        self._writer.put("INSERT OR REPLACE INTO templates VALUES (?, ?)", rows)

    def absorb(self, other: Path, *, at: int | None = None, meta: Mapping[str, str] = MappingProxyType({})) -> None:
        """Add the run in the file ``other`` with its notes, its items from the place ``at`` on: behind the last one if None.

        The facts ``meta`` of this run are kept in the same transaction: all of it is there after it, or none.
        """
        here = {"items": self.items_end() if at is None else at, "requests": self._next_request() - 1}
        self.flush()
        with as_run_error(self.directory):
            self._db.execute("ATTACH ? AS part", [f"{other.resolve().as_uri()}?mode=ro"])
            try:
                with self._db:
                    for statement in ABSORB.split(";")[:-1]:
                        self._db.execute(statement, here)
                    facts = {**meta, "notes": self._with_notes(self.notes("part"))}
                    self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", [*facts.items()])
            finally:
                self._db.execute("DETACH part")
        self._end = self._request = None

    def rename_item(self, position: int, item: Item) -> None:
        """Give the item at this place the id of ``item``, which is the same otherwise."""
        row = orjson.dumps(item_to_row(item), option=orjson.OPT_SORT_KEYS).decode()
        self._writer.put("UPDATE items SET id = ?, row = ? WHERE position = ?", [(item.id, row, position)])

    def add_item(self, position: int, item: Item) -> bool:
        """Note the item at this place of the input; False if it is there already.

        Raises ResumeRefusedError if another one is.
        """
        mark = fingerprint(item)
        found = None
        if position < self.items_end():
            found = self._one("SELECT id, fingerprint FROM items WHERE position = ?", position)
        if found is None:
            row = orjson.dumps(item_to_row(item), option=orjson.OPT_SORT_KEYS).decode()
            self._writer.put("INSERT INTO items VALUES (?, ?, ?, ?)", [(position, item.id, mark, row)])
            self._end = max(self.items_end(), position + 1)
            return True
        if tuple(found) != (item.id, mark):
            raise ResumeRefusedError(
                f"{self.directory}: item {position} of the input is {item.id!r} now and differs from {found[0]!r}, which "
                "this run judged there; resume with the same input, or start a new run with another --out"
            )
        return False

    def items_end(self) -> int:
        """The place after the last item there is: asked of the file once, since most items of a run are new ones."""
        if self._end is None:
            self._end = int(self._one("SELECT coalesce(max(position) + 1, 0) FROM items")[0])
        return self._end

    def record(self, position: int, judgments: Sequence[Judgment], usage: Usage, prompt: Prompt = ()) -> None:
        """Keep one finished request: all its samples or, if the process dies before the commit, none."""
        request = self._next_request()
        self._writer.put(INSERT_JUDGMENT, [judgment_row(position, judgment, request) for judgment in judgments])
        tokens = (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.requests)
        spent = (request, position, time.time(), usage.seconds, *tokens, self._kept_prompt(prompt))
        self._writer.put("INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [spent])

    def _kept_prompt(self, prompt: Prompt) -> bytes | None:
        """Keep a prompt's text once, however often it is asked; what it is known by."""
        if not prompt:
            return None
        text = orjson.dumps([_as_kept(message) for message in prompt])
        digest = blake2b(text, digest_size=12).digest()
        self._writer.put("INSERT OR IGNORE INTO prompts VALUES (?, ?)", [(digest, text.decode())])
        return digest

    def _next_request(self) -> int:
        if self._request is None:
            self._request = int(self._one("SELECT coalesce(max(request), 0) FROM requests")[0])
        self._request += 1
        return self._request

    def forget_ratings(self, position: int, places: Sequence[Place]) -> None:
        """Drop what meta RMs said of these judgments of an item, which others have taken the place of."""
        self._delete("ratings", position, places)

    def forget(self, position: int, places: Sequence[Place]) -> None:
        """Drop these judgments of an item, which belong to no verdict any more, and their ratings."""
        self._delete("judgments", position, places)
        self._delete("ratings", position, places)

    def _delete(self, table: str, position: int, places: Sequence[Place]) -> None:
        if not places:
            return
        statement = f"DELETE FROM {table} WHERE position = ? AND idx = ? AND block = ? AND attempt = ?"
        self._writer.put(statement, [(position, *place) for place in places])

    def take_asks(self) -> None:
        """Have a place for ``add_ask``."""
        self.flush()
        with as_run_error(self.directory):
            self._db.execute(ASKS)

    def add_ask(self, ask: Ask) -> None:
        """Keep what was asked of a service, with the next commit."""
        self._writer.put("INSERT INTO asks VALUES (?, ?, ?, ?, ?)", [ask_row(ask)])

    async def finish(self, position: int, verdict_row: Mapping[str, Any]) -> None:
        """Keep the verdict, and return once it and everything before it is on disk."""
        self.put_verdict(position, verdict_row)
        assert self.next_commit is not None
        await asyncio.shield(self.next_commit)

    @property
    def next_commit(self) -> asyncio.Future[None] | None:
        """Done, or failed with a RunError, once everything recorded so far is on disk; None without an event loop."""
        return self._writer.next_commit

    def put_verdict(self, position: int, verdict_row: Mapping[str, Any]) -> None:
        """Keep the verdict with the next commit; for writers without an event loop, which call ``flush`` at the end."""
        row = orjson.dumps(verdict_row).decode()
        self._writer.put("INSERT OR REPLACE INTO verdicts VALUES (?, ?)", [(position, row)])

    def hand_over(self) -> None:
        self._writer.write()

    def flush(self) -> None:
        """Commit what has been recorded."""
        self._writer.commit()

    def write_file(self, name: str, text: str) -> None:
        """Put a file for people beside the samples, whole or not at all."""
        with as_run_error(self.directory):
            with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=self.directory, delete=False) as partial:
                partial.write(text)
            Path(partial.name).chmod(0o644)
            Path(partial.name).replace(self.directory / name)

    def close(self) -> None:
        """Commit and let go of the directory."""
        self._writer.close()
        self._db.close()
        if self._lock is not None:
            self._lock.close()

    def record_ratings(self, position: int, meta: str, ratings: Ratings) -> None:
        """Keep what the meta RM called ``meta`` said of an item's judgments, with the next commit."""
        rows = [(meta, position, *place, rating.value, rating.problem) for place, rating in ratings.items()]
        self._writer.put("INSERT OR REPLACE INTO ratings VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def keep_notes(self, notes: Iterable[str]) -> None:
        """Add sentences that whoever reads the run should know, each once."""
        self.set_meta("notes", self._with_notes(notes))
        self.flush()

    def _with_notes(self, notes: Iterable[str]) -> str:
        return orjson.dumps(list(dict.fromkeys([*self.notes(), *notes]))).decode()


class _FirstTexts(MutableMapping[str, str]):
    """The texts of first steps as a mapping over the store."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def __getitem__(self, key: str) -> str:
        found = self._store._one("SELECT text FROM principles WHERE key = ?", key)
        if found is None:
            raise KeyError(key)
        return str(found[0])

    def __setitem__(self, key: str, text: str) -> None:
        self._store._writer.put("INSERT OR REPLACE INTO principles VALUES (?, ?)", [(key, text)])

    def __delitem__(self, key: str) -> None:
        self._store._writer.put("DELETE FROM principles WHERE key = ?", [(key,)])

    def __iter__(self) -> Iterator[str]:
        return (row[0] for row in self._store._rows("SELECT key FROM principles"))

    def __len__(self) -> int:
        return self._store.count("principles")


def _as_kept(message: Message) -> tuple[Any, ...]:
    """A message of a prompt as it is stored: of its images references only."""
    images = [reference_to(image) for image in message.images if image]
    return (message.role, message.content, images) if images else (message.role, message.content)
