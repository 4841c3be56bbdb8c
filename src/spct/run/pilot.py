"""The pilot of a run with adaptive k: its first items, by which it learns how noisy its judge is (``voting.noise``).

The items of the pilot are taken to k, and the others are not stopped before all of it is judged. What was learned is fixed
then and kept with the run, so that a run that is repeated or resumed, at any concurrency, stops at the same places.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson

from spct.judges.judge import Judge
from spct.run.store import RunStore
from spct.voting.noise import PILOT_ITEMS, learned_noise
from spct.voting.rows import ScoreRow, rows_of
from spct.voting.verdict import Verdict

KEY = "noise"
"""The fact of a run under which it keeps what was learned, and of how many ``items``: 0 where another run learned it."""


class Pilot:
    """``done`` is told of each item of the pilot, ``noise`` waits for the last of them."""

    def __init__(self, judge: Judge, store: RunStore | None) -> None:
        self._judge = judge
        self._store = store
        self._rows: dict[int, Sequence[ScoreRow]] = {}
        self._learned: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        kept = orjson.loads((store and store.meta(KEY)) or "{}")
        self._items = PILOT_ITEMS
        if kept.get("k") == judge.settings.k:
            self._learned.set_result(kept["learned"])
            self._items = kept["items"]

    def has(self, position: int) -> bool:
        """Whether the item at this place of the input is one of the pilot."""
        return self._judge.settings.adaptive is not None and position < self._items

    def done(self, position: int, verdict: Verdict) -> None:
        """Note that an item of the pilot is judged."""
        self._rows[position] = rows_of(verdict.judgments, verdict.n, self._judge.settings.rule) or ()
        if len(self._rows) < PILOT_ITEMS or self._learned.done():
            return
        noise = learned_noise([self._rows[place] for place in sorted(self._rows)], self._judge.noise)
        if self._store is not None:
            kept = {"k": self._judge.settings.k, "scale": self._judge.noise, "learned": noise, "items": PILOT_ITEMS}
            self._store.set_meta(KEY, orjson.dumps(kept).decode())
        self._learned.set_result(noise)

    async def noise(self) -> float:
        """How noisy the judge is, once the whole pilot is judged."""
        return await asyncio.shield(self._learned)
