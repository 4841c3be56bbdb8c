"""One prompt's samples: ask the engine, parse, ask again for the invalid ones, replay what a resumed run already has.

A ``Stream`` is one prompt (one order of the responses) and the judgments it owes. Which attempts a sample needs follows
from the samples themselves, so a stored prefix of the history is replayed and only the rest is sampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

from spct.aio import gather_all
from spct.engines.asking import Held, ask, held_to
from spct.engines.engine import Engine, Sample, SampleRequest, runs_of
from spct.judges.memory import Record
from spct.logs import logger
from spct.templates import Template
from spct.types import Divide, Judgment, Message, Problem
from spct.voting.expected import ExpectedScores, expected_scores
from spct.voting.orders import sample_seed

_log = logger(__name__)

History = Mapping[tuple[int, int, int], Judgment]
"""Judgments of one item by (index, block, attempt)."""


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How each judgment is sampled. ``retries`` counts the attempts after the first for an invalid judgment.

    ``top_logprobs`` None asks for as many as the vote needs (``JudgeSettings.resolved_sampling``).
    """

    temperature: float = 0.5
    top_p: float = 1.0
    max_tokens: int = 1024
    retries: int = 2
    grammar: bool = True
    top_logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """A prompt and the judgments owed under it: ``indices[j]`` is the judgment that its sample j gives."""

    order: tuple[int, ...]
    indices: tuple[int, ...]
    base: int
    row: int = 0
    block: int = 0

    @property
    def places(self) -> tuple[int, ...]:
        """Where each shown response stands, in item order."""
        return _places(self.order)


class SampleScores(NamedTuple):
    """What one sample says of the responses it was shown, as a ``Judgment`` keeps it."""

    scores: tuple[float, ...] | None
    problem: Problem | None
    expected: tuple[float, ...] | None = None
    unresolved: tuple[float, ...] | None = None
    no_expected: str | None = None


@lru_cache(maxsize=4096)
def _places(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(order)), key=order.__getitem__))


class StreamSampler:
    """Samples streams of one template under one set of sampling settings."""

    def __init__(self, engine: Engine, template: Template, settings: SamplingSettings) -> None:
        self.engine = engine
        self.template = template
        self.settings = settings

    async def run(
        self, stream: Stream, messages: tuple[Message, ...], history: History, record: Record
    ) -> list[Judgment]:
        """All judgments of the stream, invalid attempts included, by attempt and index."""
        judgments: list[Judgment] = []
        pending = list(range(len(stream.indices)))
        for attempt in range(self.settings.retries + 1):
            stored = _replayed(stream, history, attempt, pending)
            fresh = [ordinal for ordinal in pending if ordinal not in stored] if stored else pending
            made = await self._sample(stream, messages, attempt, fresh, record)
            if stored:
                by_ordinal = stored | dict(zip(fresh, made, strict=True))
                made = [by_ordinal[ordinal] for ordinal in pending]
            judgments += made
            pending = [ordinal for ordinal, judgment in zip(pending, made, strict=True) if judgment.scores is None]
            if not pending:
                break
            codes = {judgment.problem.code for judgment in made if judgment.problem is not None}
            _log.debug(
                "attempt %d: %d of %d samples cannot be read: %s", attempt, len(pending), len(made), sorted(codes)
            )
        return judgments

    async def _sample(
        self, stream: Stream, messages: tuple[Message, ...], attempt: int, ordinals: list[int], record: Record
    ) -> list[Judgment]:
        """One judgment per ordinal, in their order."""
        runs = runs_of(ordinals, self.engine.capabilities.max_n)
        if len(runs) == 1:
            return await self._request(stream, messages, attempt, runs[0], record)
        parts = await gather_all([self._request(stream, messages, attempt, run, record) for run in runs])
        return [judgment for part in parts for judgment in part]

    async def _request(
        self, stream: Stream, messages: tuple[Message, ...], attempt: int, run: list[int], record: Record
    ) -> list[Judgment]:
        settings = self.settings
        held = self._held(len(stream.order))
        batch = await ask(
            self.engine,
            SampleRequest(
                messages=messages,
                n=len(run),
                seed=sample_seed(stream.base, stream.row, attempt, run[0]),
                temperature=settings.temperature,
                top_p=settings.top_p,
                max_tokens=settings.max_tokens,
                grammar=held.grammar,
                json_schema=held.json_schema,
                top_logprobs=settings.top_logprobs or 0,
            ),
        )
        places = stream.places
        divide = partial(self.template.divide, n=len(stream.order))
        judgments = [
            _judgment(stream, attempt, ordinal, sample, self._read(stream, places, sample, bool(held)), divide)
            for ordinal, sample in zip(run, batch.samples, strict=True)
        ]
        record(judgments, batch.usage, messages)
        return judgments

    def _read(self, stream: Stream, places: tuple[int, ...], sample: Sample, held: bool) -> SampleScores:
        """What the sample says; ``held`` to a grammar or a schema."""
        n = len(stream.order)
        parsed = self.template.parse(sample.text, n, sample.finish_reason, sections=False)
        if parsed.scores is None:
            return SampleScores(None, parsed.problem)
        scores = tuple([parsed.scores[place] for place in places])
        if not self.settings.top_logprobs:
            return SampleScores(scores, None)
        read = self._expected(sample, parsed.span, n, held)
        if read.expected_N is None:
            return SampleScores(scores, None, no_expected=read.problem)
        expected = tuple([read.expected_N[place] for place in places])
        unresolved = tuple([read.outside_N[place] + read.ambiguous_N[place] for place in places])
        return SampleScores(scores, None, expected, unresolved)

    def _expected(self, sample: Sample, span: tuple[int, int] | None, n: int, held: bool) -> ExpectedScores:
        """The expected scores of a sample whose answer was read at ``span``."""
        slots = () if span is None or sample.logprobs is None else self.template.slots(sample.text, span, n)
        return expected_scores(sample.text, sample.logprobs, slots, constrained=held)

    def _held(self, n: int) -> Held:
        settings = self.settings
        return held_to(self.template, n, settings.max_tokens, self.engine) if settings.grammar else Held()


def _judgment(
    stream: Stream, attempt: int, ordinal: int, sample: Sample, read: SampleScores, divide: Divide
) -> Judgment:
    return Judgment(
        index=stream.indices[ordinal],
        order=stream.order,
        seed=sample.seed,
        text=sample.text,
        finish_reason=sample.finish_reason,
        scores=read.scores,
        problem=_named(read.problem, sample),
        expected=read.expected,
        unresolved=read.unresolved,
        no_expected=read.no_expected,
        attempt=attempt,
        block=stream.block,
        reasoning=sample.reasoning,
        completion_tokens=sample.completion_tokens,
        divide=divide,
    )


def _named(problem: Problem | None, sample: Sample) -> Problem | None:
    """The problem, by its cause where the answer is empty because the server took all of it for reasoning."""
    if problem is None or problem.code != "empty" or not sample.reasoning:
        return problem
    if sample.finish_reason == "length":
        return Problem("only_reasoning", "the reasoning took all tokens, so there is no answer; raise max_tokens")
    return Problem(
        "only_reasoning",
        "the server sent the whole completion as reasoning (reasoning_content), so there is no answer; take its reasoning "
        "parser off, or name the one of this model",
    )


def _replayed(stream: Stream, history: History, attempt: int, pending: Sequence[int]) -> dict[int, Judgment]:
    """What the history has of this attempt, by ordinal."""
    if not history:
        return {}
    found = {ordinal: history.get((stream.indices[ordinal], stream.block, attempt)) for ordinal in pending}
    return {ordinal: j for ordinal, j in found.items() if j is not None and j.order == stream.order}
