"""Judges that read nothing: what a benchmark gives away for free. No model, no cost.

A judge that does not beat them has learned length, or place, or nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

from spct.engines.engine import Capabilities
from spct.judges.rival import Rival, Trial, row
from spct.judges.settings import JudgeSettings
from spct.voting.orders import keyed_hash, slots


class NoModel:
    """The engine of a judge that asks none."""

    def __init__(self, kind: str) -> None:
        self.model_id = f"null:{kind}"
        self.capabilities = Capabilities(concurrency=64)
        self.notes: tuple[str, ...] = ()
        self.configuration: dict[str, str] = {}

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return


class _Null(Rival):
    def __init__(self, settings: JudgeSettings) -> None:
        super().__init__(NoModel(self.kind), settings)

    async def make(self, trial: Trial) -> None:
        trial.record([row(trial, index, self.scores(trial, index)) for index in trial.missing(self.settings.k)])

    @abstractmethod
    def scores(self, trial: Trial, index: int) -> list[float]:
        """The scores of judgment ``index``, in item order."""


class RandomJudge(_Null):
    """Scores drawn from 0 to 1 by the seed, the item and the judgment's index."""

    kind = "random"

    def scores(self, trial: Trial, index: int) -> list[float]:
        return [keyed_hash(self.settings.seed, trial.key, "null", index, r) / 2.0**64 for r in range(trial.n)]


class FirstJudge(_Null):
    """1 for the response that is shown first, 0 for the others, in the orders that a judge would see.

    At k = 1 it has the accuracy of chance; over whole rounds of balanced orders all responses tie.
    """

    kind = "first"

    async def make(self, trial: Trial) -> None:
        settings = self.settings
        plan = slots(trial.n, settings.k, seed=settings.seed, key=trial.key, ordering=settings.ordering)
        rows = [
            row(trial, i, _one_hot(plan[i].order[0], trial.n), order=plan[i].order) for i in trial.missing(settings.k)
        ]
        trial.record(rows)

    def scores(self, trial: Trial, index: int) -> list[float]:
        raise NotImplementedError("made from the plan of orders, all at once")

    def options(self) -> dict[str, str]:
        return {"ordering": self.settings.ordering}


class LongestJudge(_Null):
    """A response's score is its length in characters. One judgment: lengths do not vary."""

    kind = "longest"

    def __init__(self, settings: JudgeSettings) -> None:
        super().__init__(replace(settings, k=1))

    def scores(self, trial: Trial, index: int) -> list[float]:
        return [len(response) for response in trial.item.responses]


class ShortestJudge(LongestJudge):
    """The same with the sign turned."""

    kind = "shortest"

    def scores(self, trial: Trial, index: int) -> list[float]:
        return [-length for length in super().scores(trial, index)]


def _one_hot(place: int, n: int) -> list[float]:
    return [1.0 if i == place else 0.0 for i in range(n)]
