"""Rollouts held without a caller: for clients that have fewer connections than rollouts of unfinished groups.

A trainer that sends 4,096 rollouts in random order through 64 connections, each blocked until its group is judged, fills
no group: all wait for members that have no connection left. Here a caller waits ``hold_s`` at most and then gets
PendingError; its rollout stays in the group, and the same rollout sent again takes up the wait where it was.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from spct.errors import BusyError, InputError, PendingError
from spct.service.cohort import Cohorts
from spct.service.member import CohortPlace, Key, Member, digest_of, topic_of


@dataclass(eq=False, slots=True)
class _Held:
    """A rollout in its group. ``waiting`` callers are here for it now, the last one left at ``left_at`` (the loop's time)."""

    joining: asyncio.Task[CohortPlace]
    waiting: int = 0
    left_at: float = 0.0


class Holding:
    """``Cohorts.join`` for callers that come and go. ``max_held`` rollouts are held at a time.

    A rollout that nobody asks for stays in its group, and its place or its error is kept ``keep_s`` after that is judged.
    """

    def __init__(self, cohorts: Cohorts, *, keep_s: float = 600.0, max_held: int = 65536) -> None:
        self._cohorts = cohorts
        self._keep_s, self._max_held = keep_s, max_held
        self._held: dict[Key, _Held] = {}

    @property
    def held(self) -> int:
        """Rollouts whose place or error has not been fetched yet."""
        return len(self._held)

    def let_go(self, after_s: float) -> None:
        """Take rollouts that nobody has asked for for so long out of their groups, and forget them."""
        longest_ago = asyncio.get_running_loop().time() - after_s
        for key, held in list(self._held.items()):
            if not held.waiting and held.left_at <= longest_ago:
                del self._held[key]
                held.joining.cancel()

    async def join(self, member: Member, *, hold_s: float) -> CohortPlace:
        """The member's place, if it is known within ``hold_s``; else PendingError, and the member stays in its group.

        The member needs an id, by which it is known again. Raises what ``Cohorts.join`` raises, once for each rollout.
        """
        if member.member is None:
            raise InputError("a rollout to be held has no member id; give one, so that it is known when it comes again")
        key = (topic_of(member), member.size, member.member, digest_of(member.response))
        held = self._held.get(key) or self._start(key, member)
        held.waiting += 1
        try:
            await asyncio.wait({held.joining}, timeout=hold_s)
        finally:
            held.waiting -= 1
            held.left_at = asyncio.get_running_loop().time()
        if not held.joining.done():
            raise PendingError("this rollout's group is not judged yet; send the same rollout again to go on waiting")
        self._drop(key, held)
        return held.joining.result()

    def _start(self, key: Key, member: Member) -> _Held:
        if len(self._held) >= self._max_held:
            raise BusyError(f"{len(self._held)} rollouts are held, and no more are taken; ask again in a second")
        held = _Held(asyncio.get_running_loop().create_task(self._cohorts.join(member)))
        self._held[key] = held
        held.joining.add_done_callback(partial(self._done, key, held))
        return held

    def _done(self, key: Key, held: _Held, joining: asyncio.Task[CohortPlace]) -> None:
        if not joining.cancelled():
            joining.exception()  # if nobody comes for it, it was still seen
        asyncio.get_running_loop().call_later(self._keep_s, self._drop, key, held)

    def _drop(self, key: Key, held: _Held) -> None:
        if self._held.get(key) is held:
            del self._held[key]
