"""Held-out accuracy of the live policy: ``spct.judges.grm`` over the transformers engine around the weights in training.

Greedy, and by a vote of k. Both are what ``spct bench`` would measure on a checkpoint saved now: the same prompts, orders,
seeds, sampling loop, parser and grades. A share may be probed too (``probing``). Nothing here draws from torch's random
numbers, so evaluating changes no rollout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from spct.aio import LoopThread
from spct.engines.transformers import LoadedModel, TransformersEngine
from spct.train.rl.judging import Asking, judge_all
from spct.train.rl.probing import Gain, Probe, gain_of
from spct.train.rl.prompts import form_of
from spct.types import Item
from spct.voting.accuracy import Grades, grades_of
from spct.voting.verdict import Verdict

VOTE_TEMPERATURE = 0.5


class LiveEngine(TransformersEngine):
    """The transformers engine around a model that is in memory already; ``batch`` rows are decoded at once."""

    def __init__(self, loaded: LoadedModel, *, batch: int) -> None:
        super().__init__("live", batch=batch, context_tokens=loaded.context_tokens)
        self._live = loaded

    def _load(self) -> LoadedModel:
        return self._live


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process found in its share: grades by name, and what its probes gained."""

    grades: dict[str, Grades]
    gains: tuple[Gain, ...]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What is judged at every evaluation. ``greedy`` has k = 1 and temperature 0; a vote is held if ``vote_k`` > 1.

    ``probes`` has the probe of each item, or None.
    """

    items: tuple[Item, ...]
    probes: tuple[Probe | None, ...]
    greedy: Asking
    vote_k: int
    batch: int

    def share(self, process: int, processes: int) -> HeldOut:
        """The items of one of several processes."""
        return replace(self, items=self.items[process::processes], probes=self.probes[process::processes])

    def measure(self, loaded: LoadedModel) -> Measured:
        """Grades by name: ``accuracy`` greedy, ``accuracy/pair`` etc. by form, ``accuracy@k`` of the vote; and greedy gains.

        Judges in a thread of its own; the model must be in eval mode. Raises EngineError where sampling fails.
        """
        thread = LoopThread()
        try:
            verdicts = thread.run(self._judged(loaded, self.items, self.greedy))
            found = self._grades("accuracy", verdicts)
            probed = [(probe, verdict) for probe, verdict in zip(self.probes, verdicts, strict=True) if probe]
            after = thread.run(self._judged(loaded, [probe.item for probe, _ in probed], self.greedy))
            gains = [gain_of(probe, before, now) for (probe, before), now in zip(probed, after, strict=True)]
            if self.vote_k > 1:
                vote = replace(self.greedy, k=self.vote_k, temperature=VOTE_TEMPERATURE)
                found |= self._grades(f"accuracy@{self.vote_k}", thread.run(self._judged(loaded, self.items, vote)))
            return Measured(found, tuple(gains))
        finally:
            thread.stop()

    async def _judged(self, loaded: LoadedModel, items: Sequence[Item], asking: Asking) -> list[Verdict]:
        return await judge_all(LiveEngine(loaded, batch=self.batch), items, asking)

    def _grades(self, name: str, verdicts: Sequence[Verdict]) -> dict[str, Grades]:
        found = {name: Grades()}
        for item, verdict in zip(self.items, verdicts, strict=True):
            grades = grades_of(verdict.means, item)
            for key in (name, f"{name}/{form_of(len(item.responses))}"):
                found[key] = found.get(key, Grades()) + grades
        return found


def summed(parts: Sequence[dict[str, Grades]]) -> dict[str, Grades]:
    """The grades of all processes together."""
    total: dict[str, Grades] = {}
    for part in parts:
        for name, grades in part.items():
            total[name] = total.get(name, Grades()) + grades
    return total


def as_metrics(grades: dict[str, Grades]) -> dict[str, float]:
    """Numbers to log: accuracy by Eq 10 under each name; of the whole also ties, invalid ones and 1/#tied credit."""
    metrics: dict[str, float] = {}
    for name, found in grades.items():
        metrics[name] = found.strict
        if "/" not in name:
            metrics[f"{name}/tied"] = found.tied / found.count
            metrics[f"{name}/invalid"] = found.invalid / found.count
            metrics[f"{name}/credit"] = found.random_tie
    return metrics
