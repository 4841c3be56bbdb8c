"""Which rollouts were judged together, on disk: so that a service that was killed knows it when it starts again.

A service that dies after it has answered some rollouts of a group and before it has answered the others would, started
again, gather the others alone and give them other rewards. So each group is written here before it is judged, and a rollout
of a group that is known from here is judged with the same others as before: the same item, hence the same seeds.

The folder holds two files of one JSON line a group; when the newer one goes back ``keep_s`` seconds, or has ``MOST_BYTES``, it
takes the older one's place. What is written survives the process, not the machine.

Failure rule: what cannot be written costs no reward: ``on_fault`` is told once, and nothing more is written until the
service starts again. A line that was cut off is passed over. A folder that cannot be used at the start raises RunError.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, get_args

import orjson

from spct.errors import InputError, RunError
from spct.items.conversation import query_of, response_of, response_row
from spct.items.messages import turn_row
from spct.run.lock import DirectoryLock
from spct.service.member import Closed, Member, Metadata

FILES = ("groups.jsonl", "groups.before.jsonl")
KEEP_S = 600.0
MOST_BYTES = 256 * 2**20
MOST_KNOWN = 4096
"""Groups of one owner that are known after a start, the latest."""

Owner = tuple[str, str]
"""Whose groups they are: a key's name and a judge's."""


@dataclass(frozen=True, slots=True)
class ClosedGroup:
    """A group as it was judged, and what had ended the gathering."""

    members: tuple[Member, ...]
    closed: Closed


class ClosedGroups:
    """The groups of one service in ``directory``; those of the last ``keep_s`` seconds are known after a start.

    ``clock`` tells seconds since 1970. Raises RunError for a folder that cannot be written, or that another process uses.
    """

    def __init__(
        self,
        directory: Path,
        on_fault: Callable[[RunError], None] | None = None,
        *,
        keep_s: float = KEEP_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory, self._on_fault, self._keep_s, self._clock = directory, on_fault, keep_s, clock
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = DirectoryLock(directory)
            self._begun_at, self._bytes = clock(), 0
            self._known = self._read()
            self._file: int | None = self._open()
        except OSError as error:
            if isinstance(error, RunError):
                raise
            raise RunError(f"{directory}: closed groups cannot be kept there: {error.strerror or error}") from error

    def of(self, owner: Owner) -> Collection[ClosedGroup]:
        """What was known of this owner's groups when the service started, the latest last; told once."""
        return self._known.pop(owner, ())

    def keep(self, owner: Owner, group: ClosedGroup) -> None:
        """Write a group down; it is with the system when this returns."""
        if self._file is None:
            return
        line = orjson.dumps({"at": self._clock(), "owner": owner, **_row_of(group)}, option=orjson.OPT_APPEND_NEWLINE)
        try:
            self._bytes += len(line)
            if self._clock() - self._begun_at > self._keep_s or self._bytes > MOST_BYTES:
                self._turn_over()
            if os.write(self._file, line) < len(line):
                raise OSError("the disk is full")
        except OSError as error:
            self.close()
            if self._on_fault is not None:
                what = f"{self._directory}: closed groups are no longer kept: {error.strerror or error}"
                self._on_fault(RunError(what))

    def close(self) -> None:
        """Let go of the folder; harmless the second time."""
        if self._file is not None:
            os.close(self._file)
            self._lock.close()
            self._file = None

    def _open(self) -> int:
        file = os.open(self._directory / FILES[0], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.write(file, b"\n")  # ends a line that was cut off
        return file

    def _turn_over(self) -> None:
        now, before = (self._directory / name for name in FILES)
        now.replace(before)
        assert self._file is not None
        os.close(self._file)
        self._file, self._begun_at, self._bytes = self._open(), self._clock(), 0

    def _read(self) -> dict[Owner, deque[ClosedGroup]]:
        """The groups that are young enough; begins to count the age and the size of the newer file, too."""
        found: dict[Owner, deque[ClosedGroup]] = {}
        since = self._clock() - self._keep_s
        for name in reversed(FILES):
            path = self._directory / name
            if not path.exists():
                continue
            self._begun_at, self._bytes = self._clock(), path.stat().st_size
            with path.open("rb") as lines:
                for line in lines:
                    for at, owner, group in _group_in(line):
                        self._begun_at = min(self._begun_at, at)
                        if at >= since:
                            found.setdefault(owner, deque(maxlen=MOST_KNOWN)).append(group)
        return found


def _row_of(group: ClosedGroup) -> dict[str, Any]:
    first = group.members[0]
    responses = list(dict.fromkeys(member.response for member in group.members))
    return {
        "closed": group.closed,
        "run": first.run,
        "group": first.group,
        "size": first.size,
        "query": [turn_row(turn) for turn in first.query],
        "reference": first.reference,
        "principles": first.principles,
        "responses": [response_row(response) for response in responses],
        "members": [
            [member.member, responses.index(member.response), astuple(member.metadata)] for member in group.members
        ],
    }


def _group_in(line: bytes) -> Iterator[tuple[float, Owner, ClosedGroup]]:
    """When a group was closed, whose it is, and the group, if a line holds one."""
    try:
        row = orjson.loads(line)
        at, closed = float(row["at"]), row["closed"]
        if closed not in get_args(Closed):
            return
        key, judge = row["owner"]
        query = query_of(row["query"], "query")
        responses = [response_of(response, "response", query) for response in row["responses"]]
        shared = {name: row[name] for name in ("run", "group", "size", "reference", "principles")}
        members = [
            Member(query=query, response=responses[place], member=name, metadata=Metadata(*told), **shared)
            for name, place, told in row["members"]
        ]
    except (ValueError, TypeError, LookupError, InputError):
        return
    yield at, (key, judge), ClosedGroup(tuple(members), closed)
