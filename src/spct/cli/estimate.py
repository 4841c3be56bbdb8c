"""``spct judge --estimate``: what a run will use, from its prompts as they are and from a few items judged as a trial.

Every prompt is rendered and counted by the judge itself, over an engine that gives no judgment. What no rendering can tell is
measured by a trial (``--pilot``), or assumed and said to be.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import click

from spct.cli.budget import prices_of
from spct.cli.judging import judge_of_options, make_judge, settings_of
from spct.cli.juries import asks_several
from spct.cli.running import begun_run, judge_all, side_by_side
from spct.cli.session import make_engine
from spct.engines.engine import Sample, SampleRequest
from spct.engines.scripted import ScriptedEngine
from spct.errors import InputError
from spct.judges import Judge, kind_of
from spct.prices import Prices
from spct.types import Item, Judgment, Usage
from spct.views import Totals
from spct.wording import count, spell_seconds

CHARACTERS_A_TOKEN = 4.0
TOKENS_A_JUDGMENT = 300
"""Assumed of English text and of a judgment with critique where nothing is measured."""
TURNS = 2
"""So many items for each place side by side must a trial have, to measure how fast a run is."""
FIRST_TEXT = "word " * int(TOKENS_A_JUDGMENT * CHARACTERS_A_TOKEN / 5)
"""What every first step is taken to write, which the prompts after it show."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """Requests, the samples that they ask for, and the characters of their prompts, each request's counted once."""

    requests: int = 0
    samples: int = 0
    characters: int = 0

    def __add__(self, other: Prompts) -> Prompts:
        return Prompts(self.requests + other.requests, self.samples + other.samples, self.characters + other.characters)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Tokens and seconds of a run; ``time`` is None where nothing was measured."""

    items: int
    prompts: Prompts
    prompt_tokens: float
    completion_tokens: float
    time: Time | None
    tried: int

    def lines(self, prices: Prices) -> Iterator[tuple[str, str]]:
        """What to print, as labels and facts."""
        assumed = "" if self.tried else f", assumed {CHARACTERS_A_TOKEN:g} characters a token"
        per = f", assumed {TOKENS_A_JUDGMENT} a judgment" if not self.tried else ""
        how = (
            f"measured on {count(self.tried, 'item')}"
            if self.tried
            else "not measured: --pilot N judges N items to find out"
        )
        yield "items", f"{self.items:,}"
        yield "requests", f"{self.prompts.requests:,}, for {count(self.prompts.samples, 'completion')}"
        yield "tokens in", f"about {self.prompt_tokens:,.0f} ({self.prompts.characters:,} characters{assumed})"
        yield "tokens out", f"about {self.completion_tokens:,.0f}{per}"
        if (cost := prices.of(self.prompt_tokens, self.completion_tokens)) is not None:
            yield "cost", f"about {prices.told(cost)}"
        yield "time", "-" if self.time is None else self.time.told()
        yield "", how


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds that a run takes by ``in_flight`` items at once, from ``low`` to ``high``; both the same where it was measured."""

    low: float
    high: float
    in_flight: int

    def told(self) -> str:
        if self.low == self.high:
            return f"about {spell_seconds(self.low)}, {count(self.in_flight, 'item')} side by side"
        return (
            f"{spell_seconds(self.low)} to {spell_seconds(self.high)}: the trial never had {count(self.in_flight, 'item')} side "
            f"by side, as the run will; --pilot {TURNS * self.in_flight} measures it"
        )


class _Trial:
    """The trial by the clock: when items were begun, and what was answered when.

    A rate is that of the time in which as many items were judged at once as the run will have: from the first answer, when
    all places have long been taken, to the begin of the last item, after which they empty. A trial that ends before has only
    bounds: the run is as fast as the trial was (where the machine is what limits), or faster by as many more items as it has at
    once (where only waiting does).
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.in_flight = 1
        self.samples = 0
        self._clock = clock
        self._begun: list[float] = []
        self._answers: list[tuple[float, int]] = []

    def begin(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            self._begun.append(self._clock())
            yield item

    def answered(self, judgments: Sequence[Judgment], usage: Usage) -> None:
        self.samples += len(judgments)
        self._answers.append((self._clock(), len(judgments)))

    def time(self, samples: float) -> Time | None:
        """What so many samples take."""
        if not self._answers or not self.samples:
            return None
        begin, (first, of_first), last = self._begun[0], self._answers[0], self._begun[-1]
        in_time = sum(n for at, n in self._answers[1:] if at <= last)
        if len(self._begun) >= TURNS * self.in_flight and in_time:
            seconds = first - begin + max(0.0, samples - of_first) * (last - first) / in_time
            return Time(seconds, seconds, self.in_flight)
        slow = (self._answers[-1][0] - begin) * samples / self.samples
        return Time(slow * min(1.0, len(self._begun) / self.in_flight), slow, self.in_flight)


async def estimate(items: Iterable[Item], total: int, options: Mapping[str, Any]) -> Estimate:
    """What judging ``total`` items will use; ``--pilot`` of them are judged for it, and are not kept.

    Raises InputError for judges that ask no engine, and for a jury.
    """
    engine, judge = _counting(options)
    pilot = min(options["pilot"] or 0, total)
    chosen = frozenset(random.Random(f"pilot {options['seed']}").sample(range(total), pilot))
    tried: list[Item] = []
    whole, part = Prompts(), Prompts()
    for place, item in enumerate(items):
        await judge.judge(item)
        found = _asked(engine.requests)
        engine.requests.clear()
        whole += found
        if place in chosen:
            tried.append(item)
            part += found
    if not tried:
        tokens_in = whole.characters / CHARACTERS_A_TOKEN
        return Estimate(total, whole, tokens_in, whole.samples * float(TOKENS_A_JUDGMENT), None, 0)
    trial = _Trial()
    totals = await _judged(tried, options, trial)
    share = whole.samples / part.samples
    return Estimate(
        total,
        whole,
        totals.usage.prompt_tokens * whole.characters / part.characters,
        totals.usage.completion_tokens * share,
        trial.time(whole.samples * trial.samples / part.samples),
        len(tried),
    )


def _counting(options: Mapping[str, Any]) -> tuple[ScriptedEngine, Judge]:
    """The judge of the options over an engine that gives no judgment, with the limits of the real one that are known."""
    if asks_several(options):
        raise InputError("--estimate knows one judge; estimate each judge of a jury by itself")
    if kind_of(options["kind"]).needs != "engine":
        raise InputError(f"--estimate counts the prompts to an engine, and --judge {options['kind']} asks none")
    real = make_engine(options["model"], options).capabilities
    settings = settings_of(options)
    once = replace(settings, adaptive=None, sampling=replace(settings.sampling, retries=0))
    known = replace(real, seeding="sample", context_tokens=None, continues=True)
    engine = ScriptedEngine(lambda request, j: Sample(FIRST_TEXT, "stop", 0), capabilities=known)
    return engine, make_judge(options, None, backend=engine, settings=once)


def _asked(requests: Iterable[SampleRequest]) -> Prompts:
    found = Prompts()
    for request in requests:
        found += Prompts(1, request.n, sum(len(message.content) for message in request.messages))
    return found


async def _judged(items: list[Item], options: Mapping[str, Any], trial: _Trial) -> Totals:
    """The sums of judging these items by the judge itself, which is asked for all: what a cache has would look like free."""
    judge = judge_of_options({**options, "cache": None})
    async with begun_run(judge, None, options):
        trial.in_flight = side_by_side(judge, options)
        return await judge_all(judge, trial.begin(items), len(items), None, options, watch=trial.answered)


def print_estimate(found: Estimate, options: Mapping[str, Any]) -> None:
    """The estimate on stdout."""
    for label, fact in found.lines(prices_of(options)):
        click.echo(f"{label:<12}{fact}")
