"""Scalar reward models: every response on its own, one number each, no words. One judgment: they do not sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from spct.classifiers import Score, Scorer
from spct.judges.rival import Rival, Trial, row
from spct.judges.settings import JudgeSettings
from spct.judges.texts import conversation_of
from spct.types import Problem, Usage


class ScalarJudge(Rival):
    """Scores are the model's own (logits, attribute sums). ``settings.k`` becomes 1: a second reading says the same."""

    kind = "scalar"

    def __init__(self, engine: Scorer, settings: JudgeSettings) -> None:
        super().__init__(engine, replace(settings, k=1))
        self._scorer = engine

    def options(self) -> dict[str, Any]:
        return dict(self._scorer.protocol)

    async def make(self, trial: Trial) -> None:
        can = self._scorer.capabilities
        scores = await self._scorer.score(
            [conversation_of(trial.item, r, can.special_tokens, tool_turns=can.tool_turns) for r in range(trial.n)]
        )
        text = "\n".join(f"Response {r}: {score.text}" for r, score in enumerate(scores, 1) if score.text)
        judgment = row(trial, 0, values_of(scores), problem=problem_of(scores), text=text)
        trial.record([judgment], usage_of(scores))


def values_of(scores: Sequence[Score]) -> list[float] | None:
    """All values, or None if one is missing."""
    values = [score.value for score in scores if score.value is not None]
    return values if len(values) == len(scores) else None


def problem_of(scores: Sequence[Score]) -> Problem | None:
    """The first response without a score, and why."""
    for number, score in enumerate(scores, 1):
        if score.value is None:
            return Problem("no_score", f"response {number}: {score.problem}")
    return None


def usage_of(scores: Sequence[Score]) -> Usage:
    return Usage(prompt_tokens=sum(score.prompt_tokens for score in scores), requests=len(scores))
