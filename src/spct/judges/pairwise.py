"""The pairwise judge: two responses at a time, each pair in both orders, so that a liking for one place gains nothing.

A comparison is worth a point to the response that both orders prefer; if they disagree, half a point to each. One
judgment is a whole round: with tournament "all" every pair, n (n - 1) answers, a response's score being its points;
with "knockout" n - 1 pairs, the score being how many levels a response survived (a bye counts). There a tie lets the
response go on that the draw named first, so who wins a knockout with ties is partly chance; the draw depends on the
seed, the item and the round. Each answer is read and retried like any other judge's; a round with an answer that stays
unreadable is invalid.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, get_args

from spct.aio import gather_all
from spct.engines.asking import held_in_effect
from spct.engines.engine import Engine, runs_of
from spct.errors import InputError
from spct.judges.rival import Rival, Trial, row
from spct.judges.sampling import Stream, StreamSampler
from spct.judges.settings import JudgeSettings
from spct.templates import load_template
from spct.types import Judgment, Problem
from spct.voting.orders import keyed_hash, sample_seed, seed_base

Tournament = Literal["all", "knockout"]


@dataclass(frozen=True, slots=True)
class Game:
    """Both orders of one pair in one round: the answers, and what each is worth to ``first`` (None if unreadable)."""

    first: int
    second: int
    answers: tuple[Judgment, Judgment]

    @property
    def problem(self) -> Problem | None:
        return next((answer.problem for answer in self.answers if answer.problem is not None), None)

    @property
    def points(self) -> tuple[float, float]:
        """Points of ``first`` and of ``second``: 1 and 0, 0 and 1, or half each."""
        votes = [answer.scores for answer in self.answers if answer.scores is not None]
        share = sum(scores[0 if self.first < self.second else 1] for scores in votes) / len(votes)
        return share, 1 - share


class PairwiseJudge(Rival):
    """Asks ``engine`` with a template of kind "choice", by default "judge"; ``tournament`` says which pairs."""

    kind = "pairwise"
    least = 2

    def __init__(self, engine: Engine, settings: JudgeSettings, *, tournament: Tournament = "all") -> None:
        super().__init__(engine, settings)
        if tournament not in get_args(Tournament):
            raise InputError(f"tournament is {tournament!r}; expected {' or '.join(get_args(Tournament))}")
        self._template = load_template("judge" if settings.template == "grm" else settings.template)
        if self._template.kind != "choice" or self._template.needs or self._template.refuses(2):
            raise InputError(f"the judge pairwise names the better of two; template {self._template.name} does not")
        self.keep(self._template)
        self._asked = engine
        self._sampler = StreamSampler(engine, self._template, settings.sampling)
        self._tournament = tournament

    def options(self) -> dict[str, Any]:
        sampling = self.settings.sampling
        return {
            "tournament": self._tournament,
            "template": self._template.name,
            f"template.{self._template.name}": self._template.digest,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "retries": sampling.retries,
            **held_in_effect(self._template, self._asked, wanted=sampling.grammar),
        }

    async def make(self, trial: Trial) -> None:
        missing = trial.missing(self.settings.k)
        if self._tournament == "knockout" and trial.n > 2:
            await gather_all([self._knockout(trial, index) for index in missing])
            return
        pairs = list(combinations(range(trial.n), 2))
        found = await gather_all([self._compare(trial, *pair, missing) for pair in pairs])
        for index, comparisons in zip(missing, zip(*found, strict=True), strict=True):
            points = [0.0] * trial.n
            for comparison in comparisons:
                _add(points, comparison)
            self._record(trial, index, comparisons, points)

    async def _knockout(self, trial: Trial, index: int) -> None:
        alive = list(range(trial.n))
        random.Random(keyed_hash(self.settings.seed, trial.key, "draw", index)).shuffle(alive)
        survived = [0.0] * trial.n
        played: list[Game] = []
        while len(alive) > 1:
            pairs = list(zip(alive[::2], alive[1::2], strict=False))
            level = [c for (c,) in await gather_all([self._compare(trial, *pair, [index]) for pair in pairs])]
            played += level
            if any(comparison.problem for comparison in level):
                break
            bye = alive[len(pairs) * 2 :]
            alive = [c.first if c.points[0] >= c.points[1] else c.second for c in level] + bye
            for response in alive:
                survived[response] += 1
        self._record(trial, index, played, survived)

    async def _compare(self, trial: Trial, first: int, second: int, indices: Sequence[int]) -> list[Game]:
        """The pair's comparison in each of the rounds ``indices``; all rounds of one order share a prompt."""
        forward, backward = await gather_all(
            [self._answers(trial, order, indices) for order in ((first, second), (second, first))]
        )
        return [
            Game(first, second, answers)
            for answers in zip((forward[i] for i in indices), (backward[i] for i in indices), strict=True)
        ]

    async def _answers(self, trial: Trial, order: tuple[int, int], indices: Sequence[int]) -> dict[int, Judgment]:
        """The last attempt of each round's answer to one prompt, by round."""
        special = self._asked.capabilities.special_tokens
        messages = self._template.render(trial.item, order, special_tokens=special)
        base = seed_base(self.settings.seed, trial.key)
        number = order[0] * trial.n + order[1]
        streams = [Stream(order, tuple(run), base + run[0], row=number) for run in runs_of(indices)]
        parts = await gather_all([self._sampler.run(stream, messages, {}, trial.spend) for stream in streams])
        return {answer.index: answer for part in parts for answer in part}

    def _record(self, trial: Trial, index: int, played: Sequence[Game], scores: Sequence[float]) -> None:
        answers = [answer for comparison in played for answer in comparison.answers]
        failed = next((answer for answer in answers if answer.problem is not None), None)
        problem = None
        if failed is not None and failed.problem is not None:
            problem = Problem(failed.problem.code, f"{_title(failed)}: {failed.problem.detail}")
        tokens = [answer.completion_tokens for answer in answers]
        judgment = row(
            trial,
            index,
            scores,
            problem=problem,
            text="\n\n".join(f"[{_title(answer)}]\n{answer.text}" for answer in answers),
            seed=sample_seed(seed_base(self.settings.seed, trial.key), 0, 0, index),
            completion_tokens=sum(t for t in tokens if t is not None) if None not in tokens else None,
        )
        trial.record([judgment])


def _add(points: list[float], comparison: Game) -> None:
    if comparison.problem is None:
        first, second = comparison.points
        points[comparison.first] += first
        points[comparison.second] += second


def _title(answer: Judgment) -> str:
    return f"response {answer.order[0] + 1} shown before response {answer.order[1] + 1}"
