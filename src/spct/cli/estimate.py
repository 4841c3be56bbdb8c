"""``spct judge --estimate``: what a run will use, from its prompts as they are and from a few items judged as a trial.

Every prompt is rendered and counted by the judge itself, over an engine that gives no judgment. What no rendering can tell is
measured by a trial (``--pilot``), or assumed and said to be.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import click

from spct.cli.budget import prices_of
from spct.cli.judging import make_judge, settings_of
from spct.cli.juries import asks_several
from spct.cli.meta import make_meta_if_named
from spct.cli.running import begun_run, judge_all
from spct.cli.session import make_engine
from spct.engines.engine import Sample, SampleRequest
from spct.engines.scripted import ScriptedEngine
from spct.errors import InputError
from spct.judges import Judge, kind_of
from spct.prices import Prices
from spct.types import Item
from spct.views import Totals
from spct.wording import count, spell_seconds

CHARACTERS_A_TOKEN = 4.0
TOKENS_A_JUDGMENT = 300
"""Assumed of English text and of a judgment with critique where nothing is measured."""
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
    """Tokens and seconds of a run; ``seconds`` is None where nothing was measured."""

    items: int
    prompts: Prompts
    prompt_tokens: float
    completion_tokens: float
    seconds: float | None
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
        yield "time", "-" if self.seconds is None else f"about {spell_seconds(self.seconds)}"
        yield "", how


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
    totals = await _judged(tried, options)
    share = whole.samples / part.samples
    return Estimate(
        total,
        whole,
        totals.usage.prompt_tokens * whole.characters / part.characters,
        totals.usage.completion_tokens * share,
        None if totals.seconds is None else totals.seconds * share,
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


async def _judged(items: list[Item], options: Mapping[str, Any]) -> Totals:
    """The sums of judging these items by the judge itself, which is asked for all: what a cache has would look like free."""
    judge = make_judge({**options, "cache": None}, make_meta_if_named(options))
    async with begun_run(judge, None, options):
        return await judge_all(judge, items, len(items), None, options)


def print_estimate(found: Estimate, options: Mapping[str, Any]) -> None:
    """The estimate on stdout."""
    for label, fact in found.lines(prices_of(options)):
        click.echo(f"{label:<12}{fact}")
