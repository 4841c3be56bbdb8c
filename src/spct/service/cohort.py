"""Cohorts: rollouts sent one at a time are gathered by group and judged jointly; each caller gets its own place.

    place = await cohorts.join(Member(run="r1", group="q7", size=8, member="q7-3", query=query, response=text))
    reward = place.verdict.means[place.index]

What happens when:
- The group is full: judged at once. Its deadline (``wait_s`` after its first member) passes: judged with those there,
  and ``CohortPlace.partial`` says so; with one only, judged alone (``CohortPlace.alone``) or LoneMemberError, as ``lone`` says.
- The same member id again, with the same response: the same place, while the group is open and, once judged, for
  ``keep_s``; a retry is idempotent. With another response: MemberConflictError.
- Another query, reference, principles or size than the group's first member: MemberConflictError.
- Late, the group being closed: LateMemberError, unless its text equals one that was judged. Once the group is
  forgotten (after ``keep_s``) its name opens a new one. A group without a name is never late: the next one opens.
- Equal texts under different ids, or under none: judged once as one response, counted as that many members.
- A caller is cancelled: its member leaves. Once judging has begun its response stays in it, for the others' sake; when
  the last caller has gone, the judging is cancelled and the group forgotten.
- Judging fails: every caller gets the same error and the group is forgotten, so that a retry is judged anew. So it is
  if the verdict has no totals.
- One group more than ``max_open``: BusyError. Two runs never share a group.
- The service is killed, and started again on what it ``kept``: a member of a group that had been closed is judged with the
  same others as before, so its reward is that of the group; a member of one that was gathering is gathered anew.

A caller holds its connection until its group is judged: fewer connections than rollouts of unfinished groups wait for
each other until the deadline. ``holding.Holding`` is for that.
One event loop, no locks, one timer a group.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from spct.errors import (
    BusyError,
    DeadlineError,
    DrainingError,
    EngineError,
    InputError,
    LateMemberError,
    LoneMemberError,
    MemberConflictError,
)
from spct.run.asks import Asked
from spct.service.closed_groups import ClosedGroup
from spct.service.member import (
    Closed,
    CohortPlace,
    Key,
    Member,
    asked_by,
    check_member,
    digest_of,
    joint_item,
    key_of,
    place_in,
    topic_of,
)
from spct.types import Item
from spct.voting.verdict import Verdict

__all__ = ["CohortPlace", "Cohorts", "Lone", "Member"]

Lone = Literal["judge", "refuse"]


@dataclass(eq=False, slots=True)
class _Slot:
    """A member in its group. ``waiting`` has a future for each of its callers; ``place`` is there once it is judged."""

    id: str | None
    digest: str
    member: Member | None
    waiting: set[asyncio.Future[CohortPlace]] = field(default_factory=set)
    place: CohortPlace | None = None


@dataclass(eq=False, slots=True)
class _Group:
    """A group from its first member until it is forgotten. One that is ``kept`` was closed before the service began."""

    key: Key
    name: str | None
    topic: str
    size: int | None
    slots: list[_Slot] = field(default_factory=list)
    state: Literal["gathering", "kept", "judging", "done"] = "gathering"
    closed: Closed = "full"
    timer: asyncio.TimerHandle | None = None
    judging: asyncio.Task[None] | None = None

    def slot_of(self, member: Member, topic: str, digest: str) -> _Slot | None:
        """The slot that this member already has here, if any; raises MemberConflictError."""
        if topic != self.topic or member.size != self.size:
            self._conflict(member, topic)
        for slot in self.slots:
            if slot.id is not None and slot.id == member.member:
                if slot.digest == digest:
                    return slot
                if self.name is not None or self.state == "gathering":
                    self._conflict(member, topic)
        if self.name is None or self.state == "gathering":
            return None
        return next((slot for slot in self.slots if slot.digest == digest), None)

    def _conflict(self, member: Member, topic: str) -> NoReturn:
        if topic != self.topic:
            fault = "this rollout's query, reference or principles are not those of its first member"
        elif member.size != self.size:
            fault = f"this rollout gives the size {member.size}, its first member {self.size}"
        else:
            fault = f"another response came as member {member.member!r}"
        raise MemberConflictError(
            f"{self}: {fault}; a group has one query and one size, a member id one response within a run"
        )

    def __str__(self) -> str:
        return "a group without a name" if self.name is None else f"group {self.name!r}"


class Cohorts:
    """Gathers members into groups and has ``judge`` judge each group as one item, told what its members told.

    ``wait_s``: from a group's first member to its deadline. ``max_open``: groups gathering or being judged at a time.
    ``keep_s``: how long a judged group answers retries, at most ``max_kept`` groups, the oldest going first.
    ``max_size``: members of a group; one whose size nobody gave is full there. ``lone``: what becomes of a single member
    at the deadline. ``closed`` are groups that an earlier service closed, and ``on_closed`` is told of each that this one
    closes, before it is judged. Raises InputError for limits that cannot be.
    """

    def __init__(
        self,
        judge: Callable[[Item, Asked], Awaitable[Verdict]],
        *,
        wait_s: float = 60.0,
        max_open: int = 4096,
        keep_s: float = 600.0,
        max_kept: int = 4096,
        max_size: int = 256,
        lone: Lone = "judge",
        closed: Iterable[ClosedGroup] = (),
        on_closed: Callable[[ClosedGroup], None] | None = None,
    ) -> None:
        for name, value, least in (
            ("wait_s", wait_s, 0),
            ("keep_s", keep_s, 0),
            ("max_kept", max_kept, 0),
            ("max_open", max_open, 1),
            ("max_size", max_size, 1),
        ):
            if not value >= least:
                raise InputError(f"cohorts: {name} is {value}; expected {least} or more")
        if lone not in ("judge", "refuse"):
            raise InputError(f"cohorts: lone is {lone!r}; expected judge or refuse")
        self._judge = judge
        self._wait_s, self._keep_s, self._lone = wait_s, keep_s, lone
        self._max_open, self._max_kept, self._max_size = max_open, max_kept, max_size
        # Several under one key only where they have no name: judged ones, and behind them the one that gathers.
        self._groups: dict[Key, list[_Group]] = {}
        self._open: set[_Group] = set()
        self._refusing = False
        self._kept: deque[tuple[float, _Group]] = deque()
        self._on_closed = on_closed
        for group in closed:
            self._know_again(group)

    @property
    def open(self) -> int:
        """Groups that are gathering or being judged now."""
        return len(self._open)

    def refuse_new(self) -> None:
        """From now on open no group: only members of those that are open already can join. For a service about to stop."""
        self._refusing = True

    async def join(self, member: Member, within_s: float | None = None) -> CohortPlace:
        """Wait until the member's group is judged, and return its place there.

        Raises InputError, MemberConflictError, LateMemberError, LoneMemberError, BusyError, DeadlineError after
        ``within_s`` seconds, or what the judge raises.
        """
        try:
            async with asyncio.timeout(within_s) as limit:
                return await self._place(member)
        except TimeoutError:
            if within_s is None or not limit.expired():
                raise
            raise DeadlineError(f"the rollout's group was not judged within {within_s:g} s") from None

    async def _place(self, member: Member) -> CohortPlace:
        check_member(member, self._max_size)
        self._forget_old()
        group, slot = self._enter(member)
        if slot.place is not None:
            return slot.place
        future: asyncio.Future[CohortPlace] = asyncio.get_running_loop().create_future()
        slot.waiting.add(future)
        try:
            if group.state == "gathering" and len(group.slots) == (group.size or self._max_size):
                self._close(group, "full")
            elif group.state == "kept":
                self._open.add(group)
                self._judge_now(group)
            return await future
        finally:
            slot.waiting.discard(future)
            self._leave(group, slot)

    def flush(self) -> None:
        """Close every group that is still gathering, as its deadline would: for a service about to stop."""
        for group in list(self._open):
            if group.state == "gathering":
                self._deadline(group)

    def _enter(self, member: Member) -> tuple[_Group, _Slot]:
        """The member's slot, a new one in the open group if it has none yet."""
        topic, digest = topic_of(member), digest_of(member.response)
        groups = self._groups.get(key_of(member), [])
        for group in groups:
            if (known := group.slot_of(member, topic, digest)) is not None:
                return group, known
        if groups and groups[-1].state == "gathering":
            group = groups[-1]
        elif groups and member.group is not None:
            raise LateMemberError(
                f"{groups[-1]} was closed with {len(groups[-1].slots)} members, and this rollout is none of them; "
                "send the rollouts of a group sooner after each other, or let groups wait longer"
            )
        else:
            group = self._begin(member, topic)
        slot = _Slot(member.member, digest, member)
        group.slots.append(slot)
        return group, slot

    def _begin(self, member: Member, topic: str) -> _Group:
        if self._refusing:
            raise DrainingError("the service is stopping and opens no new group; ask again when it is back", 2.0)
        if len(self._open) >= self._max_open:
            raise BusyError(f"{len(self._open)} groups are open, and no more are taken; ask again in a second")
        group = _Group(key_of(member), member.group, topic, member.size)
        group.timer = asyncio.get_running_loop().call_later(self._wait_s, self._deadline, group)
        self._groups.setdefault(group.key, []).append(group)
        self._open.add(group)
        return group

    def _know_again(self, known: ClosedGroup) -> None:
        """Hold a group that was closed before this service began; another of its name goes before it."""
        first = known.members[0]
        group = _Group(key_of(first), first.group, topic_of(first), first.size, state="kept", closed=known.closed)
        group.slots += [_Slot(member.member, digest_of(member.response), member) for member in known.members]
        for other in self._groups.get(group.key, []) if first.group is not None else []:
            self._forget(other)
        self._groups.setdefault(group.key, []).append(group)
        self._kept.append((asyncio.get_running_loop().time() + self._keep_s, group))

    def _deadline(self, group: _Group) -> None:
        if len(group.slots) > 1 or self._lone == "judge":
            self._close(group, "deadline")
            return
        self._fail(
            group, LoneMemberError(f"{group}: no rollout came after the first, and one alone is not judged here")
        )

    def _close(self, group: _Group, closed: Closed) -> None:
        if group.timer is not None:
            group.timer.cancel()
        group.closed = closed
        if self._on_closed is not None:
            self._on_closed(ClosedGroup(tuple(_members_of(group)), closed))
        self._judge_now(group)

    def _judge_now(self, group: _Group) -> None:
        group.state = "judging"
        group.judging = asyncio.get_running_loop().create_task(self._judge_group(group))

    async def _judge_group(self, group: _Group) -> None:
        try:
            members = _members_of(group)
            item = joint_item(members)
            self._settle(group, item, await self._judge(item, asked_by(members, item)))
        except asyncio.CancelledError:
            self._fail(group, EngineError(f"{group}: its judging was stopped; ask again"))
            raise
        except Exception as error:
            self._fail(group, error)

    def _settle(self, group: _Group, item: Item, verdict: Verdict) -> None:
        """Give every caller its place. What is kept for retries holds the verdict, not the texts."""
        came = Counter(member.response for member in _members_of(group))
        copies = tuple(came[response] for response in item.responses)
        for slot in group.slots:
            assert slot.member is not None
            slot.place = CohortPlace(verdict, place_in(item, slot.member), group.closed, copies, group.size)
            slot.member = None
            for future in slot.waiting:
                if not future.done():
                    future.set_result(slot.place)
        if verdict.totals is None:
            self._forget(group)
            return
        group.state = "done"
        self._open.discard(group)
        self._kept.append((asyncio.get_running_loop().time() + self._keep_s, group))

    def _fail(self, group: _Group, error: Exception) -> None:
        self._forget(group)
        for slot in group.slots:
            for future in slot.waiting:
                if not future.done():
                    future.set_exception(error)

    def _leave(self, group: _Group, slot: _Slot) -> None:
        """A caller has gone. Take its member out if it was the last caller for it, the group if for all."""
        if slot.waiting or group.state == "done":
            return
        if group.state == "gathering":
            group.slots.remove(slot)
        if not any(other.waiting for other in group.slots):
            self._forget(group)
            if group.judging is not None:
                group.judging.cancel()

    def _forget(self, group: _Group) -> None:
        """Forget a group, whatever its state; harmless if it is forgotten already."""
        if group.timer is not None:
            group.timer.cancel()
        group.state = "done"
        self._open.discard(group)
        groups = self._groups.get(group.key, [])
        if group in groups:
            groups.remove(group)
        if not groups:
            self._groups.pop(group.key, None)

    def _forget_old(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._kept and (self._kept[0][0] <= now or len(self._kept) > self._max_kept):
            self._forget(self._kept.popleft()[1])


def _members_of(group: _Group) -> list[Member]:
    return [slot.member for slot in group.slots if slot.member is not None]
