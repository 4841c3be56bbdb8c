"""One shard judged on an actor's machine: a run of its own on that machine's disk, as ``spct judge --out`` would make it.

What is begun is noted in a file at once, so that the next actor knows which items were being judged when this one died. Each of
those is then judged alone, after the others: whoever dies over an item that is judged alone has died of that item. It is set
aside with that reason, after these two tries.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spct.cluster.cut import items_in
from spct.cluster.rows import verdicts_as_parquet
from spct.errors import RunError
from spct.judges import Judge
from spct.judges.verdicts import no_verdict
from spct.run import RunStore, judge_items, open_run
from spct.run.connection import FILE
from spct.run.lock import DirectoryLock
from spct.run.opening import notes_of
from spct.run.pilot import KEY as NOISE
from spct.types import Item, ItemError, Judgment, Usage

MARKS, ALONE = "begun", "alone "
LOCKED_FOR_S = 30.0
"""How long a shard may be held by an actor before this one, which is dying."""
KILLED = "ActorDied"


@dataclass(frozen=True, slots=True)
class Work:
    """A shard to be judged: ``items`` is its file, ``home`` its run as far as that was brought home, None if it was not.

    ``died`` says how the actor before this one died over it, None if none did. ``noise`` is what shard 0 learned for adaptive k.
    """

    batch: str
    name: str
    items: bytes
    home: bytes | None
    died: str | None = None
    noise: str | None = None

    @property
    def directory(self) -> Path:
        """Where it is judged: on the disk that TMPDIR names."""
        return Path(tempfile.gettempdir()) / f"spct-ray-{self.batch}" / self.name


@dataclass(slots=True)
class Progress:
    """What an actor has done since it started."""

    items: int = 0
    judgments: int = 0
    invalid: int = 0
    tokens: int = 0

    def on_request(self, judgments: Sequence[Judgment], usage: Usage) -> None:
        self.judgments += len(judgments)
        self.invalid += sum(judgment.problem is not None for judgment in judgments)
        self.tokens += usage.completion_tokens


@dataclass(frozen=True, slots=True)
class ShardDone:
    """A judged shard: its run, its verdicts as Parquet, how many items were set aside, and for adaptive k what it learned."""

    run: bytes
    verdicts: bytes
    set_aside: int
    noise: str | None


@dataclass(slots=True)
class ShardRun:
    """Judges ``work``; ``settings`` are those of the run besides the judge's.

    ``begun`` is called once its last item is being judged and the engine has room for another shard.
    """

    judge: Judge
    settings: Mapping[str, Any]
    work: Work
    in_flight: int
    progress: Progress
    begun: Callable[[], None]
    _rows: dict[int, dict[str, Any]] = field(default_factory=dict)

    async def run(self) -> ShardDone:
        """Raises EngineError where the engine cannot go on, RunError where the disk cannot."""
        store = await self._opened()
        try:
            items = dict(enumerate(items_in(self.work.items, f"shard {self.work.name}")))
            for position, row in self._aside_before(store):
                self._rows[position] = row
                del items[position]
            alone, killers = self._suspects(store)
            for position in killers:
                self._rows[position] = self._put_aside(store, position, items.pop(position))
            set_aside = len(self._rows)
            await self._judge(store, {place: item for place, item in items.items() if place not in alone}, "")
            for position in alone:
                await self._judge(store, {position: items[position]}, ALONE)
            self.begun()
            store.keep_notes(notes_of(self.judge))
            noise = store.meta(NOISE)
        finally:
            store.close()
        verdicts = verdicts_as_parquet(row for _, row in sorted(self._rows.items()))
        return ShardDone((self.work.directory / FILE).read_bytes(), verdicts, set_aside, noise)

    async def _judge(self, store: RunStore, items: Mapping[int, Item], mark: str) -> None:
        """Judge these items; each is marked in the moment in which it is begun."""
        with (self.work.directory / MARKS).open("ab", buffering=0) as marks:

            def marked() -> Iterator[Item]:
                for position, item in items.items():
                    marks.write(f"{mark}{position}\n".encode())
                    yield item
                if not mark:
                    self.begun()

            outcomes = judge_items(
                self.judge,
                marked(),
                in_flight=self.in_flight,
                store=store,
                on_request=self.progress.on_request,
                positions=iter(items),
            )
            async with contextlib.aclosing(outcomes):
                async for outcome in outcomes:
                    self._rows[outcome.position] = outcome.verdict.as_row()
                    self.progress.items += 1

    async def _opened(self) -> RunStore:
        """The shard's run on this disk, or the one that was brought home if that has more."""
        directory = self.work.directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        await _unlocked(directory)
        if self.work.home is not None:
            with tempfile.TemporaryDirectory(dir=directory.parent) as folder:
                home = Path(folder) / FILE
                home.write_bytes(self.work.home)
                if _judgments(home) > _judgments(directory / FILE):
                    shutil.rmtree(directory)
                    directory.mkdir(mode=0o700)
                    home.replace(directory / FILE)
        store = open_run(directory, self.judge, resume=True, settings=self.settings)
        if self.work.noise is not None:
            store.set_meta(NOISE, self.work.noise)
        return store

    def _suspects(self, store: RunStore) -> tuple[list[int], list[int]]:
        """The items that were being judged when the actor before this one died: with others, and alone."""
        path = self.work.directory / MARKS
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        if self.work.died is None:
            path.unlink(missing_ok=True)
            return [], []
        judged = {position for position, _ in store.verdict_rows()}
        killers = {int(line.removeprefix(ALONE)) for line in lines if line.startswith(ALONE)} - judged
        suspects = {int(line) for line in lines if not line.startswith(ALONE)} - judged - killers
        return sorted(suspects), sorted(killers)

    def _aside_before(self, store: RunStore) -> list[tuple[int, dict[str, Any]]]:
        """The items that were set aside in an earlier session, which nobody is to die of again."""
        return [(position, row) for position, row in store.verdict_rows() if (row["error"] or {}).get("type") == KILLED]

    def _put_aside(self, store: RunStore, position: int, item: Item) -> dict[str, Any]:
        reason = f"an actor died while it judged this item beside others, and another while it judged it alone: {self.work.died}"
        store.add_item(position, item)
        row = no_verdict(item, self.judge.settings, ItemError(KILLED, reason), store.history(position)).as_row()
        store.put_verdict(position, row)
        return row


def copy_of(directory: Path) -> bytes | None:
    """A shard's run as it stands, while it is written; None where there is none yet."""
    try:
        source = sqlite3.connect(f"{(directory / FILE).resolve().as_uri()}?mode=ro", uri=True)
        with contextlib.closing(source), tempfile.NamedTemporaryFile(dir=directory) as file:
            with contextlib.closing(sqlite3.connect(file.name)) as copy:
                source.backup(copy)
            return Path(file.name).read_bytes()
    except (sqlite3.Error, OSError):
        return None


def _judgments(file: Path) -> int:
    """How many judgments a run's file has; -1 where it is none that can be read."""
    try:
        with contextlib.closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM judgments").fetchone()[0])
    except sqlite3.Error:
        return -1


async def _unlocked(directory: Path) -> None:
    """Wait for an actor that is dying to let go of the directory. Raises RunError if it does not."""
    for attempt in range(round(LOCKED_FOR_S * 5)):
        try:
            DirectoryLock(directory).close()
            return
        except RunError:
            if attempt == round(LOCKED_FOR_S * 5) - 1:
                raise
            await asyncio.sleep(0.2)
