"""Work that callers share: a verdict is made once for all who wait for it, and given up with the last of them.

It waits for its turn (``turns``), is judged, recorded, counted and cached. A deadline is answered with the verdict that stands
already, if the judge has one: that is not cached, and the work goes on while another caller waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from spct.aio import Passes
from spct.errors import DeadlineError, DrainingError
from spct.service.cache import VerdictCache
from spct.service.counters import Counters
from spct.service.judges import ServedJudge
from spct.service.recording import InHand
from spct.service.turns import Turn, Turns
from spct.types import Item
from spct.voting.verdict import Verdict

if TYPE_CHECKING:
    from spct.service.probing import Prober


@dataclass(eq=False, slots=True)
class _Work:
    """A verdict being made, and how many callers wait for it. ``hand`` is its item once its turn has come."""

    turn: Turn
    task: asyncio.Task[Verdict] = field(init=False)
    hand: InHand = field(default_factory=InHand)
    waiters: int = 0


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that one verdict waited for its turn, and that making it took."""

    queued_s: float
    judging_s: float


class SharedWork:
    """The verdicts under way, by key; ``places`` of them are made side by side, turns by the callers' ``weights``.

    ``running`` are being made, ``judging_s`` is about what the last ones took. ``ending``: the service stops, so that what is
    cancelled is its doing and not the caller's.
    """

    def __init__(
        self,
        places: int,
        weights: Mapping[str, float],
        cache: VerdictCache,
        counters: Counters,
        on_judged: Callable[[Timing], None] | None,
        prober: Prober | None,
    ) -> None:
        self.ending = False
        self.running = 0
        self.judging_s = 1.0
        self._weights = weights
        self._cache = cache
        self._counters = counters
        self._on_judged = on_judged or (lambda timing: None)
        self._prober = prober
        self._turns = Turns(places, weights)
        self._passes = Passes()
        self._works: dict[str, _Work] = {}

    def __len__(self) -> int:
        return len(self._works)

    def __contains__(self, key: str) -> bool:
        return key in self._works

    @property
    def waiting(self) -> int:
        """Verdicts whose turn has not come."""
        return max(0, len(self) - self.running)  # what was cancelled a moment ago is still running

    def resize(self, places: int) -> None:
        """Have another number of places; only while nothing is under way."""
        self._turns = Turns(places, self._weights)

    async def close(self) -> None:
        """Cancel what is under way, whose callers get DrainingError, and the probe of it."""
        self.ending = True
        tasks = [work.task for work in self._works.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._prober is not None:
            await self._prober.close()

    async def verdict(self, key: str, served: ServedJudge, item: Item, limit_s: float, caller: str) -> Verdict:
        """Join the work of this key, or begin it; ``item`` has the id that it is recorded by.

        Raises DeadlineError after ``limit_s`` seconds, DrainingError, and what judging raises.
        """
        work = self._works.get(key)
        if work is None:
            self._works[key] = work = _Work(Turn(caller))
            work.task = asyncio.create_task(self._make(served, item, work))
            work.task.add_done_callback(lambda done: self._finished(key, done))
        else:
            self._turns.join(work.turn, caller)
        return await self._wait(key, work, limit_s)

    async def _wait(self, key: str, work: _Work, deadline_s: float) -> Verdict:
        """The work's verdict; the last caller to go away takes the work with it."""
        work.waiters += 1
        try:
            async with asyncio.timeout(deadline_s) as limit:
                return await asyncio.shield(work.task)
        except TimeoutError:
            if not limit.expired():
                raise
            if work.hand.so_far is not None:
                return await self._cut_short(key, work, work.hand.so_far)
            self._counters.errors["DeadlineError"] += 1
            raise DeadlineError(f"no verdict within {deadline_s:g} s; the work for it has been given up") from None
        except asyncio.CancelledError:
            if work.task.cancelled() and self.ending:
                raise DrainingError("the service stopped before this was judged; ask again when it is back") from None
            raise
        finally:
            work.waiters -= 1
            if work.waiters == 0 and not work.task.done():
                work.task.cancel()
                self._forget(key, work.task)

    async def _cut_short(self, key: str, work: _Work, so_far: Callable[[], Verdict]) -> Verdict:
        """The verdict by what there is of it, recorded; the last caller ends the work first."""
        if last := work.waiters == 1:
            self._forget(key, work.task)
            work.task.cancel()
            await asyncio.wait([work.task])
            if not work.task.cancelled() and work.task.exception() is None:
                return work.task.result()  # it was done at the same moment
        verdict = so_far()
        self._counters.cut_short += 1
        if last:
            self._counters.judged(verdict)
        await work.hand.finish(verdict)  # of work that goes on, the verdict to come takes its place
        return verdict

    async def _make(self, served: ServedJudge, item: Item, work: _Work) -> Verdict:
        """Wait for a turn, judge, record."""
        accepted = monotonic()
        charged = await self._turns.begin(work.turn)
        await self._passes.turn()
        begun = monotonic()
        self.running += 1
        try:
            work.hand = hand = InHand() if served.recorder is None else served.recorder.begin(item)
            verdict = await served.judge.judge(item, hand)
        finally:
            self.running -= 1
            ended = monotonic()
            self._turns.end(charged)
        self.judging_s += 0.1 * (ended - begun - self.judging_s)
        self._on_judged(Timing(begun - accepted, ended - begun))
        if self._prober is not None:
            self._prober.saw(served.judge, item, verdict)
        await hand.finish(verdict)
        self._counters.lost += hand.lost
        return verdict

    def _finished(self, key: str, done: asyncio.Task[Verdict]) -> None:
        self._forget(key, done)
        if done.cancelled():
            return
        if (failure := done.exception()) is not None:
            self._counters.errors[type(failure).__name__] += 1
            return
        verdict = done.result()
        self._counters.judged(verdict)
        self._cache.put(key, verdict)

    def _forget(self, key: str, task: asyncio.Task[Verdict]) -> None:
        work = self._works.get(key)
        if work is not None and work.task is task:
            del self._works[key]
