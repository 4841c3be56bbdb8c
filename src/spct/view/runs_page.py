"""A run at a glance, from its index: how far it is, how right, what it cost, and whether it is being written."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spct.errors import SpctError
from spct.measures.pairs import wilson
from spct.run import RunStore
from spct.run.connection import FILE
from spct.run.lock import is_held
from spct.run.stored import judge_text, stored_settings
from spct.types import Usage
from spct.view.costs import Cost, cost_of
from spct.view.library import Library
from spct.voting.accuracy import Grades

LIVE_S = 60.0
"""Where the lock of a run cannot be asked: if it lacks items and was written to no longer ago, it counts as being written."""


@dataclass(frozen=True, slots=True)
class RunCard:
    """``planned`` is None where nobody noted how many items there are, ``tokens`` where none were counted, ``cost`` without prices.

    ``accuracy`` is strict: a tie counts as wrong."""

    name: str
    started: str
    model: str
    judge: str
    k: int
    items: int
    finished: int
    planned: int | None
    live: bool
    accuracy: float | None
    low: float | None
    high: float | None
    graded: int
    invalid: float | None
    tokens: int | None
    left_s: float | None
    indexed: bool
    cost: Cost | None = None

    @property
    def price(self) -> float | None:
        """What it cost, None where that is not known."""
        return None if self.cost is None else self.cost.value

    @property
    def total(self) -> int:
        """The items there will be, as far as is known."""
        return self.items if self.planned is None else self.planned

    @property
    def state(self) -> str:
        if self.live:
            return "being written"
        return "finished" if self.finished >= self.total else "stopped"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A run that cannot be shown, and why."""

    name: str
    reason: str


SORTS = ("started", "name", "model", "judge", "k", "items", "accuracy", "invalid", "tokens", "price")


def run_cards(
    library: Library, within_s: float = 2.0, prices: str | None = None
) -> tuple[list[RunCard], list[Unreadable]]:
    """Every run; indexes that take longer than ``within_s`` together are finished in the background."""
    until = time.monotonic() + within_s
    cards: list[RunCard] = []
    bad: list[Unreadable] = []
    for name in library.runs():
        try:
            cards.append(run_card(library, name, max(0.0, until - time.monotonic()), prices))
        except SpctError as error:
            bad.append(Unreadable(name, str(error)))
    return cards, bad


def run_card(library: Library, name: str, within_s: float = 0.4, prices: str | None = None) -> RunCard:
    """One run, with its cost by ``prices`` where they are named. Raises RunError where it cannot be read."""
    index = library.index(name)
    index.update(within_s)
    with contextlib.closing(RunStore.open(index.directory)) as store, index.reading() as db:
        written, settings = stored_settings(store)
        sessions = store.sessions()
        sums = index.remembered("sums", lambda: _sums(store, db))
        planned = _planned(sessions)
        left = (planned or sums.items) - sums.finished
        live = _is_written(index.directory, left)
        grades = sums.grades
        low, high = wilson(grades.strict, grades.count) if grades.count else (None, None)
        started = sessions[-1][0] if sessions else ""
        return RunCard(
            name=name,
            started=started[:16].replace("T", " "),
            model=str(written.get("model")),
            judge=judge_text(written),
            k=settings.k,
            items=sums.items,
            finished=sums.finished,
            planned=planned,
            live=live,
            accuracy=grades.strict if grades.count else None,
            low=low,
            high=high,
            graded=int(grades.count),
            invalid=sums.invalid,
            tokens=sums.usage.completion_tokens or None,
            cost=None if prices is None else cost_of(prices, written, sessions, sums.usage),
            left_s=_left_s(store, started, left) if live and left > 0 else None,
            indexed=index.progress(db).complete,
        )


@dataclass(frozen=True, slots=True)
class _Sums:
    items: int
    finished: int
    grades: Grades
    invalid: float | None
    usage: Usage


def _sums(store: RunStore, db: sqlite3.Connection) -> _Sums:
    completions = store.count("judgments")
    invalid = sum(store.problem_counts().values()) / completions if completions else None
    return _Sums(store.count("items"), store.count("verdicts"), _grades(db), invalid, store.usage())


def _grades(db: sqlite3.Connection) -> Grades:
    """Right and wrong of the kinds of truth of which every item can be either."""
    kinds = db.execute(
        "SELECT kind FROM cells WHERE kind IS NOT NULL GROUP BY kind HAVING min(gradable) = 1"
    ).fetchall()
    found = Grades()
    for (kind,) in kinds:
        counted = "SELECT grade, count(*) FROM cells WHERE kind = ? AND grade IS NOT NULL GROUP BY grade"
        found += Grades(**dict(db.execute(counted, [kind]).fetchall()))
    return found


def _planned(sessions: list[tuple[str, dict[str, Any]]]) -> int | None:
    """The number of items that the last session set out to judge."""
    planned = sessions[-1][1].get("items") if sessions else None
    return planned if isinstance(planned, int) else None


def _is_written(directory: Path, left: int) -> bool:
    """Whether a process writes to the run."""
    held = is_held(directory)
    return left > 0 and _age_s(directory / FILE) < LIVE_S if held is None else held


def _age_s(path: Path) -> float:
    """Seconds since the run was written to."""
    newest = 0.0
    for name in (path, path.with_name(f"{path.name}-wal")):
        with contextlib.suppress(OSError):
            newest = max(newest, name.stat().st_mtime)
    return time.time() - newest


def _left_s(store: RunStore, started: str, left: int) -> float | None:
    """Seconds until the last item at the pace of this session; None before there is one."""
    try:
        began = datetime.datetime.fromisoformat(started).timestamp()
    except ValueError:
        return None
    done = store.finished_since(began)
    return left * (time.time() - began) / done if done else None
