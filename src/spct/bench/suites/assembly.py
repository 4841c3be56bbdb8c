"""Upstream files to items, and items to ``Loaded``: what every benchmark's loader shares.

A benchmark reads its rows, makes each an ``Item`` whose ``extra`` says all that grading and audits need (subset,
domain, writers, styles), and puts units over the items. Units are made from items alone, so that a stored run, whose
items came from the same loader or from an importer, is graded without the upstream files.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import fsum
from pathlib import Path
from typing import Any

import orjson

from spct.bench.suites.benchmark import Loaded, Unit
from spct.errors import InputError
from spct.items import fingerprint, parse_item
from spct.types import Item, Truth, plain_truth

SUFFIXES = (".json", ".jsonl", ".ndjson", ".parquet", ".json.gz", ".jsonl.gz")


def data_files(path: Path, expected: str, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """``path`` itself, or the data files anywhere below it in order of name. Raises InputError where there are none."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: there is no such file or directory; expected {expected}")
    found = sorted(file for file in path.rglob("*") if file.name.endswith(suffixes) and not _hidden(file, path))
    if not found:
        raise InputError(f"{path}: got a directory without {', '.join(suffixes)} files; expected {expected}")
    return found


def _hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)


def require(row: Mapping[str, Any], where: str, *keys: str) -> None:
    """Raise InputError, naming the row, unless it has every key with a value."""
    if lacking := [key for key in keys if row.get(key) is None]:
        raise InputError(
            f"{where}: got a row with {', '.join(map(str, row)) or 'no keys'}; expected {', '.join(lacking)} too"
        )


def make_item(
    where: str,
    *,
    id: str,
    query: str | Sequence[Mapping[str, Any]],
    responses: Sequence[Any],
    best: int | None = None,
    rewards: Sequence[float] | None = None,
    **extra: Any,
) -> Item:
    """An item from a row's values, checked like any row of a user's. ``extra`` keys without a value are left out.

    A query given as text is one user turn, whatever it looks like. Raises InputError with ``where``.
    """
    messages = [{"role": "user", "content": query}] if isinstance(query, str) else query
    row = {"messages": messages, "responses": responses, "best": best, "rewards": rewards}
    row |= {key: value for key, value in extra.items() if value is not None}
    return parse_item({**row, "id": id}, where=where)


def cluster_of(item: Item) -> str:
    """A mark of the conversation, the same for all items on one prompt."""
    turns = [(message.role, message.content) for message in item.messages]
    return hashlib.blake2b(orjson.dumps(turns), digest_size=8).hexdigest()


def item_unit(item: Item) -> Unit:
    """The unit that is one item; its subset is the item's."""
    return Unit(item.id, (item.id,), str(item.extra["subset"]), cluster_of(item))


def numbered(items: Iterable[Item]) -> Iterator[Item]:
    """The items, with "#2", "#3" added to ids that upstream gives to different rows. A row met twice keeps its id."""
    seen: dict[str, list[str]] = defaultdict(list)
    for item in items:
        mark = fingerprint(item)
        others = seen[item.id]
        repeated = mark in others
        others.append(mark)
        yield item if repeated or len(others) == 1 else replace(item, id=f"{item.id}#{len(others)}")


def by_id(items: Iterable[Item], benchmark: str) -> dict[str, Item]:
    """The items by id, in order. Raises InputError for an id met twice or an item that is not of the benchmark."""
    found: dict[str, Item] = {}
    for item in items:
        if item.id in found:
            raise InputError(
                f"{benchmark}: got item {item.id!r} a second time; expected each once (is a file there twice?)"
            )
        if "subset" not in item.extra:
            raise InputError(
                f"{benchmark}: item {item.id!r} names no subset; expected items that {benchmark} has loaded"
            )
        found[item.id] = item
    if not found:
        raise InputError(f"{benchmark}: got no items; expected at least one")
    return found


def assembled(
    items: Mapping[str, Item],
    units: Sequence[Unit],
    expected: Mapping[str, int],
    notes: Sequence[str] = (),
    *,
    per_row: int = 1,
) -> Loaded:
    """``Loaded`` over the items, with what is missing of ``expected``: upstream rows per subset, 0 for "any number".

    ``per_row`` units stand for one row.
    """
    units_of = Counter(unit.subset for unit in units)
    counts = {subset: units_of[subset] // per_row for subset in {*units_of, *expected}}
    missing = [
        name if not counts[name] else f"{name} ({counts[name]} of {count})"
        for name, count in expected.items()
        if counts[name] < max(count, 1)
    ]
    return Loaded(items, tuple(units), tuple(missing), tuple(notes), data_hash(items.values()))


def assembled_items(
    items: Iterable[Item],
    benchmark: str,
    expected: Mapping[str, int],
    notes: Sequence[str] = (),
    unit_of: Callable[[Item], Unit] = item_unit,
) -> Loaded:
    """``Loaded`` where every item is a unit of its own. Raises InputError as ``by_id`` does."""
    found = by_id(items, benchmark)
    return assembled(found, [unit_of(item) for item in found.values()], expected, notes)


def lacks(loaded: Loaded, subset: str) -> bool:
    """Whether the subset is missing, wholly or in part."""
    return any(name == subset or name.startswith(f"{subset} (") for name in loaded.missing)


def data_hash(items: Iterable[Item]) -> str:
    """32 hex digits over every item's id, content and ground truth, in whatever order and file format they came."""
    marks = sorted(
        orjson.dumps([item.id, fingerprint(item), item.best, item.rewards_N, *_more(item)]) for item in items
    )
    return hashlib.blake2b(b"\n".join(marks), digest_size=16).hexdigest()


def _more(item: Item) -> list[Truth]:
    """The truth where the best and the rewards do not say it all."""
    truth = item.truth
    return [] if truth is None or truth == plain_truth(item.best, item.rewards_N, len(item.responses)) else [truth]


def means_by(credits: Mapping[Unit, float], key: Callable[[Unit], str]) -> dict[str, float]:
    """Mean credit by the key of the units, in order of first appearance."""
    groups: dict[str, list[float]] = defaultdict(list)
    for unit, credit in credits.items():
        groups[key(unit)].append(credit)
    return {name: mean(values) for name, values in groups.items()}


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return fsum(listed) / len(listed)
