"""A monitor of a service's judge: a share of what was judged is judged again with a change that must not raise a score.

One at a time, beside the callers' own work: what comes while a probe is under way is not probed. The change is drawn among
those that ``bench.probing`` ships as such, the response among all. Nothing of it is recorded, cached or answered; a probe that
fails is dropped.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

from spct.bench.probing.changes import ProbeIn, read_probes
from spct.errors import InputError, SpctError
from spct.judges.judge import Judge
from spct.types import Item
from spct.voting.verdict import Verdict

OnGain = Callable[[str, float], None]
"""Told the name of a change and by how much it changed the score of the response that it was made to."""


class Prober:
    """Probes ``share`` of the verdicts that it is shown, drawn by ``seed``; ``on_gain`` is told what came of each."""

    def __init__(
        self, share: float, on_gain: OnGain, *, probes: Sequence[ProbeIn] | None = None, seed: int = 0
    ) -> None:
        if not 0 < share <= 1:
            raise InputError(f"the share of verdicts to probe is {share:g}; expected more than 0, at most 1")
        self._share, self._on_gain = share, on_gain
        of_all = read_probes() if probes is None else probes
        self._probes = [probe for probe in of_all if probe.must_not == "raise"]
        self._random = random.Random(seed)
        self._task: asyncio.Task[None] | None = None

    def saw(self, judge: Judge, item: Item, verdict: Verdict) -> None:
        """Probe this verdict of ``judge`` on ``item``, or not; returns at once."""
        if self._random.random() >= self._share or verdict.means is None:
            return
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._probe(judge, item, verdict.means))

    async def wait(self) -> None:
        """Until no probe is under way."""
        if self._task is not None:
            await self._task

    async def close(self) -> None:
        """Give up the probe under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _probe(self, judge: Judge, item: Item, means: Sequence[float]) -> None:
        probe, target = self._random.choice(self._probes), self._random.randrange(len(item.responses))
        changed = probe.changed(item, target)
        if changed is None:
            return
        try:
            found = await judge.judge(changed)
        except SpctError:
            return
        if found.means is not None:
            self._on_gain(probe.name, found.means[target] - means[target])
