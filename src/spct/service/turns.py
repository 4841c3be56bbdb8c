"""Whose turn it is: so many at a time, and of the callers that wait the one with the fewest under way comes first; a caller of
weight 2 may have twice as many under way as one of weight 1 before it counts as equal.

A caller with a thousand requests in line so delays one with a single request by one turn, not by a thousand.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Mapping

from spct.service.shares import NO_WEIGHTS


class Turn:
    """One piece of work that waits for its turn, in the line of each caller that wants it."""

    def __init__(self, caller: str) -> None:
        self.callers = [caller]
        self._granted: asyncio.Future[str] | None = None


class Turns:
    """``places`` turns at a time; first come, first served within each caller's line."""

    def __init__(self, places: int, weights: Mapping[str, float] = NO_WEIGHTS) -> None:
        self._free = places
        self._weights = weights
        self._lines: dict[str, deque[Turn]] = {}
        self._running: Counter[str] = Counter()
        self._turn = 0
        self._latest: dict[str, int] = {}

    async def begin(self, turn: Turn) -> str:
        """Wait for the turn; the caller that it counts for, for ``end``."""
        if self._free and not self._lines:
            return self._grant(turn.callers[0])
        turn._granted = asyncio.get_running_loop().create_future()
        for caller in turn.callers:
            self._lines.setdefault(caller, deque()).append(turn)
        try:
            return await turn._granted
        except asyncio.CancelledError:
            if turn._granted.done() and not turn._granted.cancelled():
                self.end(turn._granted.result())
            else:
                self._step_out(turn)
            raise

    def end(self, caller: str) -> None:
        """Give the turn back: the next one begins."""
        self._free += 1
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]
        while self._free and self._lines:
            self._next()

    def join(self, turn: Turn, caller: str) -> None:
        """Another caller wants this piece of work too: it may come by that caller's line, if that is faster."""
        if caller in turn.callers:
            return
        turn.callers.append(caller)
        if turn._granted is not None and not turn._granted.done():
            self._lines.setdefault(caller, deque()).append(turn)

    def _next(self) -> None:
        # Of equals the one whose last turn is longest ago.
        caller = min(self._lines, key=lambda name: (self._load(name), self._latest.get(name, 0)))
        turn = self._lines[caller][0]
        self._step_out(turn)
        assert turn._granted is not None
        if not turn._granted.done():  # given up a moment ago, it is still in line
            turn._granted.set_result(self._grant(caller))

    def _load(self, caller: str) -> float:
        return self._running[caller] / self._weights.get(caller, 1)

    def _grant(self, caller: str) -> str:
        self._free -= 1
        self._running[caller] += 1
        self._turn += 1
        self._latest[caller] = self._turn
        return caller

    def _step_out(self, turn: Turn) -> None:
        for caller in turn.callers:
            line = self._lines.get(caller)
            if line is not None and turn in line:
                line.remove(turn)
                if not line:
                    del self._lines[caller]
