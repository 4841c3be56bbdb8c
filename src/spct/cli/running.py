"""Judging on the command line: the engine started, the run opened, progress shown. Shared by every command that judges."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from spct.cli.budget import Budget
from spct.cli.progress import RunProgress
from spct.cli.session import started
from spct.engines import Capabilities
from spct.harmless import line
from spct.judges import Judge, kind_of
from spct.judges.template_choice import lenience_in, scale_of
from spct.run import Outcome, RunStore, judge_items, opened_run
from spct.run.connection import holds_run
from spct.run.runner import OnRequest
from spct.types import Item, Judgment, Usage
from spct.views import Totals
from spct.wording import count


@contextlib.asynccontextmanager
async def begun_run(
    judge: Judge, out: Path | None, options: Mapping[str, Any], **facts: Mapping[str, Any]
) -> AsyncIterator[RunStore | None]:
    """Start what the judge asks and, with ``out``, open its run there (``opened_run``); what was noted is said in the end."""
    async with started(judge.engine), started(judge.meta):
        going_on = out is not None and options["resume"] and holds_run(out)
        if going_on and (why := doubt(judge.engine.model_id, judge.engine.capabilities, options)):
            say_notes([f"{why}: what is sampled from here on may differ from an uninterrupted run's"])
        run = contextlib.nullcontext() if out is None else opened_run(out, judge, resume=options["resume"], **facts)
        with run as store:
            yield store
    say_notes(judge.engine.notes)


def say_notes(notes: Iterable[str]) -> None:
    """Tell what whoever asked for the run should know of it."""
    for note in notes:
        click.echo(f"note: {line(note)}", err=True)


def doubt(model_id: str, can: Capabilities, options: Mapping[str, Any]) -> str:
    """Why the samples of this engine may depend on when they are asked, and beside what; "" where they do not."""
    if kind_of(options.get("kind", "grm")).needs != "engine":
        return ""
    if can.seeding != "sample":
        return f"{model_id} does not give each sample a seed of its own"
    if can.seed_alone:
        return ""
    found = "was not checked" if can.seed_alone is None else "was found not to hold"
    return f"that a sample of {model_id} depends on its seed alone {found}"


def side_by_side(judge: Judge, options: Mapping[str, Any]) -> int:
    """How many items are judged at once."""
    return int(options["concurrency"] or judge.engine.capabilities.concurrency)


async def judge_all(
    judge: Judge,
    items: Iterable[Item],
    total: int,
    store: RunStore | None,
    options: Mapping[str, Any],
    line: Callable[[Outcome], str | None] | None = None,
    header: str | None = None,
    watch: OnRequest | None = None,
) -> Totals:
    """Judge ``total`` items with their progress on the terminal, and for each the ``line`` on stdout that it gives; their sums.

    ``watch`` is told of every request that is answered.
    """
    in_flight = side_by_side(judge, options)
    budget = Budget.of(options)
    k = judge.settings.k if judge.settings.adaptive is None else None
    scale = scale_of(judge.settings, judge.templates)
    progress = RunProgress(
        total,
        k=k,
        scale=scale,
        lenient=lenience_in(judge.templates),
        prices=budget.prices,
    )

    def on_request(judgments: Sequence[Judgment], usage: Usage) -> None:
        progress.on_request(judgments, usage)
        budget.spend(usage)
        if watch is not None:
            watch(judgments, usage)

    with progress:
        if header is not None:
            progress.print(header)
        affordable = budget.within(items)
        outcomes = judge_items(judge, affordable, in_flight=in_flight, store=store, on_request=on_request)
        async with contextlib.aclosing(outcomes):
            async for outcome in outcomes:
                progress.on_item(outcome)
                budget.done(outcome.verdict.usage)
                if line is not None and (text := line(outcome)) is not None:
                    progress.print(text)
    totals = progress.totals
    if budget.stopped:
        go_on = "go on with --resume and a larger limit" if store is not None else "nothing is kept without --out"
        click.echo(f"stopped: {budget.stopped}; {totals.items:,} of {count(total, 'item')} judged; {go_on}", err=True)
    return totals
