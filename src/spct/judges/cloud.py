"""The semi-scalar judge, CLoud (Ankner et al., 2024, arXiv 2408.11791): a critique in words, then a head's number.

For every response the engine writes k critiques; the scalar model then reads the conversation, the response, and the
critique as the answer to ``CRITIQUE_REQUEST``. Judgment i holds the scores after each response's i-th critique, and the
vote averages them. The source has one model with two heads: serve it twice, or name its two halves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from spct.aio import gather_all
from spct.classifiers import Scorer, load_scorer
from spct.engines.engine import Capabilities, Engine, runs_of
from spct.errors import InputError
from spct.judges.critiques import CRITIQUE_REQUEST, CritiqueSampler, critique_options, critique_template, head_reads
from spct.judges.rival import Rival, Trial, row
from spct.judges.sampling import Stream
from spct.judges.scalar import problem_of, usage_of, values_of
from spct.judges.settings import JudgeSettings
from spct.types import Judgment, Problem
from spct.voting.orders import sample_seed, seed_base

__all__ = ["CRITIQUE_REQUEST", "CloudJudge", "CriticAndHead"]


@dataclass(frozen=True, slots=True)
class CriticAndHead:
    """The engine that writes and the model that scores, started and closed together."""

    critic: Engine
    head: Scorer

    @property
    def model_id(self) -> str:
        return f"{self.critic.model_id} + {self.head.model_id}"

    @property
    def capabilities(self) -> Capabilities:
        return replace(self.critic.capabilities, context_tokens=None)

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.critic.notes, *self.head.notes)

    @property
    def configuration(self) -> Mapping[str, Any]:
        return {
            **self.critic.configuration,
            **{f"head.{name}": value for name, value in self.head.configuration.items()},
        }

    async def start(self) -> None:
        await self.critic.start()
        await self.head.start()

    async def close(self) -> None:
        try:
            await self.critic.close()
        finally:
            await self.head.close()


class CloudJudge(Rival):
    """``head`` is the scalar model, made already or as KIND:NAME with ``head_options``; not asked for where ``engine`` is
    the ``CriticAndHead`` of another such judge.

    ``settings.template`` may be the path of a critique template of your own (which needs single).
    """

    kind = "cloud"

    def __init__(
        self,
        engine: Engine | CriticAndHead,
        settings: JudgeSettings,
        *,
        head: Scorer | str | None = None,
        head_options: Mapping[str, Any] | None = None,
    ) -> None:
        both = engine if isinstance(engine, CriticAndHead) else _both(engine, head, head_options or {})
        super().__init__(both, settings)
        self._critic, self._head = both.critic, both.head
        self._template = critique_template(settings.template)
        self.keep(self._template)
        self._sampler = CritiqueSampler(both.critic, self._template, settings.sampling)

    def options(self) -> dict[str, Any]:
        head = {f"head.{name}": value for name, value in self._head.protocol.items()}
        return critique_options(self._template, self.settings.sampling) | head

    async def make(self, trial: Trial) -> None:
        missing = trial.missing(self.settings.k)
        critiques = await gather_all([self._critiques(trial, response, missing) for response in range(trial.n)])
        await gather_all([self._judgment(trial, i, [of_response[i] for of_response in critiques]) for i in missing])

    async def _critiques(self, trial: Trial, response: int, indices: list[int]) -> dict[int, Judgment]:
        """The last attempt at each critique of one response, by index; they share a prompt."""
        special = self._critic.capabilities.special_tokens
        messages = self._template.render(trial.item, (response,), special_tokens=special)
        base = seed_base(self.settings.seed, trial.key)
        streams = [Stream((response,), tuple(run), base + run[0], row=response) for run in runs_of(indices)]
        parts = await gather_all([self._sampler.run(stream, messages, {}, trial.spend) for stream in streams])
        return {written.index: written for part in parts for written in part}

    async def _judgment(self, trial: Trial, index: int, critiques: list[Judgment]) -> None:
        tokens = [critique.completion_tokens for critique in critiques]
        shown: dict[str, Any] = {
            "text": "\n\n".join(f"[critique of response {r}]\n{c.text}" for r, c in enumerate(critiques, 1)),
            "seed": sample_seed(seed_base(self.settings.seed, trial.key), 0, 0, index),
            "completion_tokens": sum(t for t in tokens if t is not None) if None not in tokens else None,
        }
        for number, critique in enumerate(critiques, 1):
            if critique.problem is not None:
                problem = Problem(critique.problem.code, f"critique of response {number}: {critique.problem.detail}")
                trial.record([row(trial, index, None, problem=problem, **shown)])
                return
        can = self._head.capabilities
        read = [
            head_reads(trial.item, r, c.text, can.special_tokens, tool_turns=can.tool_turns)
            for r, c in enumerate(critiques)
        ]
        scores = await self._head.score(read)
        judgment = row(trial, index, values_of(scores), problem=problem_of(scores), **shown)
        trial.record([judgment], usage_of(scores))


def _both(critic: Engine, head: Scorer | str | None, options: Mapping[str, Any]) -> CriticAndHead:
    if head is None:
        raise InputError("the judge cloud needs a head that scores the critiques; name it: head=KIND:NAME")
    return CriticAndHead(critic, load_scorer(head, **options) if isinstance(head, str) else head)
