"""Labels that people give to a run's items: kept beside the run, in a file of their own, and read back as ground truth.

The run itself is never written to, so a label waits for no judge and no judge for a label. A label is added and never changed:
of several by one person on one item the last one counts. Any number of processes may add at once; SQLite puts them in order.

What a person says is an entry as a row's ``labels`` may have it: ``{"label": 1}`` of one response, or of two (0, 1, "tie");
``{"best": 2}``, ``{"ranking": [...]}``, ``{"rewards": [...]}`` or ``{"grade": 7}``. With one of these may stand
``{"criteria": {"correct": [1, 0]}}``, the answers that it was made of (``criteria_labels``). None is an item skipped.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from spct.errors import InputError, RunError
from spct.items import fingerprint, item_to_row, parse_item
from spct.items.truth import TRUTH_KEYS, read_truth
from spct.run.connection import FILE as RUN_FILE
from spct.run.damage import as_damage
from spct.run.store import RunStore
from spct.types import Item

FILE = "labels.sqlite"
CRITERIA = "criteria"
GRADES = (1, 10)
"""The scale of a lone response's grade."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS labels (
    at REAL NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL, fingerprint TEXT NOT NULL, entry TEXT, note TEXT
)
"""

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Label:
    """What ``name`` said of an item ``at`` that time (seconds since 1970); ``entry`` None is an item skipped."""

    at: float
    name: str
    position: int
    entry: Entry | None
    note: str | None = None


def add_label(directory: Path, item: Item, label: Label) -> None:
    """Keep a label, on disk when this returns. Raises InputError for an entry that is none of this item, RunError."""
    add_labels(directory, [(item, label)])


def add_labels(directory: Path, given: Iterable[tuple[Item, Label]]) -> int:
    """Keep labels, all of them or none, and say how many. Raises as ``add_label`` does."""
    rows = [_row(item, label) for item, label in given]
    if rows:
        with _opened(directory, write=True) as db, db:
            db.execute(SCHEMA)
            db.executemany("INSERT INTO labels VALUES (?, ?, ?, ?, ?, ?)", rows)
    return len(rows)


def _row(item: Item, label: Label) -> tuple[float, str, int, str, str | None, str | None]:
    if not label.name.strip():
        raise InputError("a label needs the name of who gives it; name yourself with --label NAME")
    if label.entry is not None:
        _truth_keys(item, {label.name: label.entry})
        _check_criteria(item, label.entry.get(CRITERIA, {}))
    entry = None if label.entry is None else orjson.dumps(dict(label.entry)).decode()
    return (label.at or time.time(), label.name, label.position, fingerprint(item), entry, label.note or None)


def labels_of(directory: Path, position: int | None = None) -> dict[int, dict[str, Label]]:
    """The last label of each person on each item, or on the one at ``position``. Raises RunError.

    Labels on an item that stands no longer in its place are left out.
    """
    if not (directory / FILE).is_file():
        return {}
    where, values = ("", []) if position is None else (" WHERE position = ?", [position])
    found: dict[int, dict[str, Label]] = {}
    with _opened(directory) as db, as_damage(str(directory / FILE)):
        db.execute("ATTACH ? AS run", [f"{(directory / RUN_FILE).resolve().as_uri()}?mode=ro"])
        rows = db.execute(
            "SELECT at, name, l.position, entry, note FROM labels l JOIN run.items i "
            f"ON i.position = l.position AND i.fingerprint = l.fingerprint{where.replace('position', 'l.position')} "
            "ORDER BY l.rowid",
            values,
        )
        for at, name, place, entry, note in rows:
            said = None if entry is None else orjson.loads(entry)
            found.setdefault(place, {})[name] = Label(at, name, place, said, note)
    return found


def labelled_items(directory: Path) -> Iterator[Item]:
    """The items that somebody labelled, with what people said as their ground truth, in input order.

    Who said it, the notes and the answers by criterion are extra keys. Raises RunError.
    """
    labels = labels_of(directory)
    with contextlib.closing(RunStore.open(directory)) as store:
        for position, item in store.items():
            given = {name: label for name, label in labels.get(position, {}).items() if label.entry is not None}
            if given:
                yield labelled(item, given)


def labelled(item: Item, given: Mapping[str, Label]) -> Item:
    """The item with these people's labels for its ground truth."""
    entries = {name: label.entry for name, label in given.items() if label.entry is not None}
    keys = _truth_keys(item, entries)
    row = {key: value for key, value in item_to_row(item).items() if key not in TRUTH_KEYS}
    notes = {name: label.note for name, label in given.items() if label.note}
    criteria = {name: entry[CRITERIA] for name, entry in entries.items() if CRITERIA in entry}
    row |= {**keys, "labelled_by": list(entries), **({"notes": notes} if notes else {})}
    row |= {"labelled_criteria": criteria} if criteria else {}
    return parse_item(row, where=f"labels of item {item.id!r}")


def _truth_keys(item: Item, entries: Mapping[str, Entry]) -> dict[str, Any]:
    """The keys of a row that say it: one person's own, several people's as ``labels``. Raises InputError."""
    n = len(item.responses)
    asked = {(frozenset(entry), frozenset(entry.get(CRITERIA, ()))) for entry in entries.values()}
    entries = {name: {key: entry[key] for key in entry if key != CRITERIA} for name, entry in entries.items()}
    if len(asked) > 1:  # people were asked differently: who is best
        entries = {name: chosen for name, entry in entries.items() if (chosen := _choice(entry, n)) is not None}
    said = [dict(entry) for entry in entries.values()]
    keys: dict[str, Any] = said[0] if len(said) == 1 else {"labels": said} if said else {}
    if any("grade" in entry for entry in said):
        keys = {**keys, "grade_scale": list(GRADES)}
    read_truth(keys, f"label of item {item.id!r}", n, None)
    return keys


def _check_criteria(item: Item, criteria: Any) -> None:
    n = len(item.responses)
    fits = isinstance(criteria, Mapping) and all(
        isinstance(answers, Sequence) and len(answers) == n and all(answer in (0, 1) for answer in answers)
        for answers in criteria.values()
    )
    if not fits:
        raise InputError(
            f"label of item {item.id!r}: criteria: got {criteria!r}; expected {n} answers, 0 or 1, to each criterion"
        )


def _choice(entry: Entry, n: int) -> Entry | None:
    """An entry as the one best response, None where it names none."""
    if n == 1:
        return entry if "label" in entry else None
    if "label" in entry:
        return entry
    truth = read_truth(entry, "label", n, None).truth
    if truth is None or truth.best is None:
        return {"label": "tie"} if n == 2 else None
    return {"label": truth.best} if n == 2 else {"best": truth.best}


@contextlib.contextmanager
def _opened(directory: Path, *, write: bool = False) -> Iterator[sqlite3.Connection]:
    path = directory / FILE
    if path.is_symlink():
        raise RunError(f"{path} is a link, and what it leads to would be written to; expected a file of the run's own")
    try:
        mode = "rwc" if write else "ro"
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=30)) as db:
            if write:
                db.execute("PRAGMA synchronous = FULL")
            yield db
    except sqlite3.Error as error:
        raise RunError(f"{path}: {error}; labels need a folder that can be written to") from error
