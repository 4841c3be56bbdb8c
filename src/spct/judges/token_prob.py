"""The token-probability judge: not which response the model names, but how likely it was to name each.

One token is asked for, the number of the best response; a response's score is the probability of its number, normalised
over the numbers 1 to n. The mass that went elsewhere stands in ``unresolved``; with too little on the numbers, or
without log-probabilities, the judgment is invalid. Averaged over balanced orders, a bias for a place cancels. With the
template "judge" the number follows a critique, so that judgments differ and k matters; the shipped one asks for the
number at once.
"""

from __future__ import annotations

from dataclasses import replace

from spct.engines.engine import Engine, Sample
from spct.errors import EngineError, InputError, TemplateError
from spct.judges.grm import GRMJudge
from spct.judges.llm_judge import require_choice
from spct.judges.memory import NO_MEMORY, Memory
from spct.judges.sampling import SampleScores, SamplingSettings, Stream, StreamSampler
from spct.judges.settings import LOGPROBS_FOR_EXPECTED, JudgeSettings
from spct.templates import Template
from spct.types import Item, Problem
from spct.voting.expected import ExpectedScores, expected_scores
from spct.voting.verdict import Verdict

MIN_ON_NUMBERS = 0.1
"""Least share of the probability on the numbers 1 to n. Low, since the score is relative among them and the rest is
reported; not lower, since a number that is not even listed among the alternatives counts as 0."""


class TokenProbJudge(GRMJudge):
    """``min_resolved`` is the least share of the probability that must be on the numbers 1 to n."""

    def __init__(self, engine: Engine, settings: JudgeSettings, *, min_resolved: float = MIN_ON_NUMBERS) -> None:
        if not 0 < min_resolved <= 1:
            raise InputError(f"min_resolved is {min_resolved}; expected more than 0, at most 1")
        template = "judge-index" if settings.template == "grm" else settings.template
        sampling = replace(settings.sampling, top_logprobs=settings.sampling.top_logprobs or LOGPROBS_FOR_EXPECTED)
        super().__init__(engine, replace(settings, template=template, sampling=sampling))
        require_choice(self, "token-prob")
        self._min_resolved = min_resolved
        self._samplers = {
            name: _ProbabilitySampler(engine, template, sampling, min_resolved)
            for name, template in ((template.name, template) for template in self.templates.values())
        }

    def describe(self) -> dict[str, object]:
        return {"judge": "token-prob", **super().describe(), "min_resolved": self._min_resolved}

    def check(self, item: Item) -> None:
        super().check(item)
        if len(item.responses) < 2:
            raise TemplateError(f"item {item.id!r} has 1 response; the judge token-prob compares at least 2")

    async def judge(self, item: Item, memory: Memory = NO_MEMORY) -> Verdict:
        if not self.engine.capabilities.logprobs:
            raise EngineError(
                f"{self.engine.model_id} gives no token log-probabilities, which the judge token-prob reads; use one "
                "that does, or the judge llm-judge"
            )
        self.check(item)
        return await super().judge(item, memory)


class _ProbabilitySampler(StreamSampler):
    """Reads the probabilities at the number in place of the number."""

    def __init__(self, engine: Engine, template: Template, settings: SamplingSettings, min_resolved: float) -> None:
        super().__init__(engine, template, settings)
        self._min_resolved = min_resolved

    def _expected(self, sample: Sample, span: tuple[int, int] | None, n: int, held: bool) -> ExpectedScores:
        slots = () if span is None else self.template.slots(sample.text, span, n)
        return expected_scores(sample.text, sample.logprobs, slots, min_resolved=self._min_resolved)

    def _read(self, stream: Stream, places: tuple[int, ...], sample: Sample, held: bool) -> SampleScores:
        named = super()._read(stream, places, sample, held)
        if named.scores is not None and named.expected is None:
            return SampleScores(None, Problem("no_logprobs", str(named.no_expected)))
        return named._replace(scores=named.expected)
