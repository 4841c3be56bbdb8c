"""PairRM (Jiang et al., 2023, arXiv 2306.02561): a classifier reads two responses and says by how much one is better.

All pairs, both orders: the margin of i over j is (logit(i, j) - logit(j, i)) / 2, so a liking for the first place
cancels. A response's score is its mean margin over the others ("margins", the source's MaxLogits up to a factor), or
its number of pairs won, half for a margin of 0 ("wins").
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from math import fsum
from typing import Any, Literal, get_args

from spct.classifiers import Pair, PairScorer
from spct.errors import InputError
from spct.judges.rival import Rival, Trial, row
from spct.judges.scalar import usage_of, values_of
from spct.judges.settings import JudgeSettings
from spct.judges.texts import texts_of
from spct.types import Problem

Aggregate = Literal["margins", "wins"]


class PairRMJudge(Rival):
    """``settings.k`` becomes 1: the classifier does not sample."""

    kind = "pairrm"
    least = 2

    def __init__(self, engine: PairScorer, settings: JudgeSettings, *, aggregate: Aggregate = "margins") -> None:
        super().__init__(engine, replace(settings, k=1))
        if aggregate not in get_args(Aggregate):
            raise InputError(f"aggregate is {aggregate!r}; expected {' or '.join(get_args(Aggregate))}")
        self._scorer = engine
        self._aggregate = aggregate

    def options(self) -> dict[str, Any]:
        return {"aggregate": self._aggregate, **self._scorer.protocol}

    async def make(self, trial: Trial) -> None:
        query, shown = texts_of(trial.item, self._scorer.capabilities.special_tokens)
        orders = list(permutations(range(trial.n), 2))
        scores = await self._scorer.compare([Pair(query, shown[a], shown[b]) for a, b in orders])
        values = values_of(scores)
        problem = None
        if values is None:
            (a, b), why = next((o, s.problem) for o, s in zip(orders, scores, strict=True) if s.value is None)
            problem = Problem("no_score", f"response {a + 1} before response {b + 1}: {why}")
        logits = {} if values is None else dict(zip(orders, values, strict=True))
        result = None if values is None else self._scores(logits, trial.n)
        trial.record([row(trial, 0, result, problem=problem)], usage_of(scores))

    def _scores(self, logits: dict[tuple[int, int], float], n: int) -> list[float]:
        margins = [[(logits[i, j] - logits[j, i]) / 2 for j in range(n) if j != i] for i in range(n)]
        if self._aggregate == "wins":
            return [sum(1.0 if margin > 0 else 0.5 if margin == 0 else 0.0 for margin in of_i) for of_i in margins]
        return [fsum(of_i) / len(of_i) for of_i in margins]
