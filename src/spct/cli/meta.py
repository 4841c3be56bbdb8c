"""``spct meta``: rate a run's judgments with a meta RM, and keep the ratings with the run."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.session import started
from spct.cli.stopping import run_stoppable
from spct.errors import InputError
from spct.meta import METAS, MetaRM, load_meta
from spct.run import RunStore
from spct.run.rating import RatingTotals, rate_run
from spct.run.stored import stored_settings
from spct.wording import count
from spct.yaml_file import named_value

META_HELP = f"A meta RM, KIND:NAME with KIND one of {', '.join(METAS)}."


@click.command(cls=Command)
@click.argument("run", type=PATH, metavar="RUN")
@click.option("--meta", required=True, metavar="SPEC", help=META_HELP)
@click.option("--meta-option", multiple=True, metavar="NAME=VALUE", help="An option of the meta RM.")
@click.option("--retry", is_flag=True, help="Ask again about judgments that it could not rate before.")
def meta(run: Path, meta: str, meta_option: Sequence[str], retry: bool) -> int:
    """Rate the valid judgments in run directory RUN that have no rating yet; then vote with: spct vote RUN --meta ID.

    Ratings are kept with the run; stopped at any moment, the command goes on where it was.

    \b
    Example:
      spct meta run --meta llm:openai:NAME
    """
    model = make_meta(meta, meta_option)
    with contextlib.closing(RunStore.open(run, write=True)) as store:
        _, settings = stored_settings(store)
        return run_stoppable(_rate(store, settings, model, retry), run, go_on=())


def make_meta(spec: str, pairs: Sequence[str]) -> MetaRM:
    """The meta RM of ``--meta`` and its ``--meta-option``s. Raises InputError."""
    return load_meta(spec, **dict(named_value("--meta-option", pair) for pair in pairs))


def make_meta_if_named(options: Mapping[str, Any]) -> MetaRM | None:
    """The meta RM of a command that may go without one."""
    if options["meta"] is not None:
        return make_meta(options["meta"], options["meta_option"])
    if options["meta_option"]:
        raise InputError("--meta-option is an option of a meta RM; name one with --meta")
    return None


async def _rate(store: RunStore, settings: Any, model: MetaRM, retry: bool) -> int:
    async with started(model):
        totals = await rate_run(store, settings, model, retry_problems=retry, on_chunk=_progress)
    click.echo(_summary(model, totals))
    return 1 if totals.problems else 0


def _progress(totals: RatingTotals) -> None:
    click.echo(f"{count(totals.rated + totals.problems, 'judgment')} rated", err=True)


def _summary(model: MetaRM, totals: RatingTotals) -> str:
    lines = [f"meta        {model.model_id}", f"ratings     {totals.rated:,} new, {totals.already:,} from before"]
    if totals.problems:
        unrated = f"{totals.problems:,} could not be rated and are never kept"
        lines.append(f"unrated     {unrated}; the first: {totals.example}")
    return "\n".join(lines)
