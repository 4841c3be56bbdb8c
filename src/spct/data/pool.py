"""The groups that can be used, on disk, and an index of the items they can give: memory holds no text.

One spooled line per group; per possible item some 250 bytes of memory. An item met again (the same query and responses,
in any order, from whichever source) counts as a duplicate; met with another label, both are left out.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import orjson

from spct.data.conversation import conversation_hash, hash64
from spct.data.forms import Candidate, Form
from spct.data.group import Group
from spct.errors import RunError
from spct.items.conversation import response_of, response_row
from spct.items.item import said
from spct.items.messages import messages_of, turn_row

DUPLICATE, CONTRADICTED = "duplicate", "contradicted by another row"


class PoolEntry(NamedTuple):
    """One possible item: ``priority`` orders all of them at random, the rest says where it is."""

    priority: int
    source: str
    form: Form
    offset: int
    place: int
    conversation: int


class Stored(NamedTuple):
    """A group as it was spooled."""

    row: int
    origin: str
    group: Group


class Pool:
    """Fill with ``add``, then read ``entries``; ``stored`` gives the group of an entry back. Close removes the file."""

    def __init__(self, path: Path, seed: int) -> None:
        self._path, self._seed = path, seed
        self._entries: list[PoolEntry | None] = []
        self._seen: dict[int, tuple[int, int]] = {}
        try:
            self._file = path.open("w+b")
        except OSError as error:
            raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error

    def add(
        self, source: str, row: int, origin: str, group: Group, wanted: Iterable[tuple[int, Candidate]]
    ) -> Iterator[tuple[str, str]]:
        """Take in items of a group, each with its place in ``candidates``; yields (source, reason) of those left out."""
        offset: int | None = None
        conversation = conversation_hash(group.messages, group.topic)
        for place, one in wanted:
            key, truth = _marks(group, one)
            if (earlier := self._seen.get(key)) is None:
                self._seen[key] = truth, len(self._entries)
                offset = self._store(row, origin, group) if offset is None else offset
                priority = hash64(f"{self._seed}:{source}/{row}/{one.name}")
                self._entries.append(PoolEntry(priority, source, one.form, offset, place, conversation))
                continue
            known, index = earlier
            yield source, DUPLICATE if known == truth else CONTRADICTED
            if known != truth and (entry := self._entries[index]) is not None:
                self._entries[index] = None
                yield entry.source, CONTRADICTED

    def _store(self, row: int, origin: str, group: Group) -> int:
        offset = self._file.tell()
        try:
            values = {field.name: getattr(group, field.name) for field in fields(group)}
            values["messages"] = [turn_row(turn) for turn in group.messages]
            values["responses"] = [response_row(response) for response in group.responses]
            self._file.write(orjson.dumps([row, origin, values], option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            raise RunError(f"{self._path}: cannot be written: {error.strerror or error}") from error
        return offset

    def entries(self) -> list[PoolEntry]:
        """All items that can be had, in the seed's random order."""
        try:
            self._file.flush()
        except OSError as error:
            raise RunError(f"{self._path}: cannot be written: {error.strerror or error}") from error
        return sorted(entry for entry in self._entries if entry is not None)

    def stored(self, entry: PoolEntry) -> Stored:
        self._file.seek(entry.offset)
        row, origin, values = orjson.loads(self._file.readline())
        values["messages"] = messages = messages_of(values["messages"], origin)
        values["responses"] = tuple([response_of(text, origin, messages) for text in values["responses"]])
        values["wins"] = tuple((i, j) for i, j in values["wins"])
        return Stored(row, origin, Group(**values))

    def close(self) -> None:
        with suppress(OSError):  # a full disk was reported where it was met
            self._file.close()
        with suppress(OSError):
            self._path.unlink()


def usable(entries: Iterable[PoolEntry]) -> dict[str, dict[str, int]]:
    """How many items each source can give of each form."""
    counts = Counter((entry.source, entry.form) for entry in entries)
    found: dict[str, dict[str, int]] = {}
    for (source, form), count in counts.items():
        found.setdefault(source, {})[form] = count
    return found


def _marks(group: Group, one: Candidate) -> tuple[int, int]:
    """64 bits over the query and the responses in any order, and over what is said of them."""
    turns = [said(message) for message in group.messages]
    texts = [group.responses[i] for i in one.indices]
    best = group.rewards_N[one.indices[0]] if one.form == "single" and group.rewards_N else texts[0]
    return _hash([turns, sorted(texts)]), _hash(best)


def _hash(value: object) -> int:
    return int.from_bytes(hashlib.blake2b(orjson.dumps(value), digest_size=8).digest())
