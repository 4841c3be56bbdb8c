"""``spct meta``: rate a run's judgments with a meta RM, and keep the ratings with the run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import ceil
from pathlib import Path
from time import monotonic
from typing import Any

import click

from spct.cli.batch import ray_options, say, seats_on_ray
from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.session import started
from spct.cli.stopping import run_stoppable
from spct.errors import InputError
from spct.harmless import line
from spct.judges.settings import JudgeSettings
from spct.meta import METAS, MetaRM, load_meta
from spct.run import RunStore
from spct.run.rating import SMALLEST_CHUNK, RatingTotals, check_ratable, rate_run
from spct.run.stored import stored_settings
from spct.wording import count, rate_over
from spct.yaml_file import named_value

SAID_EVERY_S = 10.0
META_HELP = f"A meta RM, KIND:NAME with KIND one of {', '.join(METAS)}."


@click.command(cls=Command)
@click.argument("run", type=PATH, metavar="RUN")
@click.option("--meta", required=True, metavar="SPEC", help=META_HELP)
@click.option("--meta-option", multiple=True, metavar="NAME=VALUE", help="An option of the meta RM.")
@click.option("--retry", is_flag=True, help="Ask again about judgments that it could not rate before.")
@ray_options
def meta(run: Path, meta: str, meta_option: Sequence[str], retry: bool, **options: Any) -> int:
    """Rate the valid judgments in run directory RUN that have no rating yet; then vote with: spct vote RUN --meta ID.

    Ratings are kept with the run; stopped at any moment, the command goes on where it was.

    \b
    Examples:
      spct meta run --meta llm:openai:NAME
      spct meta run --meta classifier:/models/meta --ray auto --gpus-per-actor 1
    """
    named = _named(meta_option)
    build = partial(load_meta, meta, **named)
    with contextlib.closing(RunStore.open(run, write=True)) as store:
        _, settings = stored_settings(store)
        check_ratable(store, settings)
        most = ceil(store.count("judgments") / SMALLEST_CHUNK)
        with _raters(build, {**options, "threads": named.get("threads")}, most) as (model, raters):
            return run_stoppable(_rate(store, settings, model, retry, raters), run, go_on=())


@contextlib.contextmanager
def _raters(build: Callable[[], MetaRM], options: Mapping[str, Any], most: int) -> Iterator[tuple[MetaRM, int]]:
    """The meta RM of this process, or that of at most ``most`` actors of a cluster; and how many rate side by side."""
    if options["ray"] is None:
        yield build(), 1
        return
    with seats_on_ray(options, max(1, most)) as seats:
        from spct.cluster.rating import ActorsMeta

        say(f"rating by {count(seats.actors, 'actor')}")
        yield ActorsMeta(build, seats, say), seats.actors


def make_meta(spec: str, pairs: Sequence[str]) -> MetaRM:
    """The meta RM of ``--meta`` and its ``--meta-option``s. Raises InputError."""
    return load_meta(spec, **_named(pairs))


def _named(pairs: Sequence[str]) -> dict[str, Any]:
    return dict(named_value("--meta-option", pair) for pair in pairs)


def make_meta_if_named(options: Mapping[str, Any]) -> MetaRM | None:
    """The meta RM of a command that may go without one."""
    if options["meta"] is not None:
        return make_meta(options["meta"], options["meta_option"])
    if options["meta_option"]:
        raise InputError("--meta-option is an option of a meta RM; name one with --meta")
    return None


async def _rate(store: RunStore, settings: JudgeSettings, model: MetaRM, retry: bool, raters: int) -> int:
    async with started(model):
        totals = await rate_run(
            store, settings, model, retry_problems=retry, on_chunk=_Progress().on_chunk, raters=raters
        )
        click.echo(_summary(model, totals))
    return 1 if totals.problems else 0


class _Progress:
    """Says how many judgments are rated, now and then."""

    def __init__(self) -> None:
        self._begun = self._said = monotonic()

    def on_chunk(self, totals: RatingTotals) -> None:
        now, done = monotonic(), totals.rated + totals.problems
        if now - self._said >= SAID_EVERY_S:
            self._said = now
            say(f"{count(done, 'judgment')} rated, {rate_over(now - self._begun, done, 'judgment')}")


def _summary(model: MetaRM, totals: RatingTotals) -> str:
    lines = [f"meta        {line(model.model_id)}", f"ratings     {totals.rated:,} new, {totals.already:,} from before"]
    if totals.problems:
        unrated = f"{totals.problems:,} could not be rated and are never kept"
        lines.append(f"unrated     {unrated}; the first: {line(totals.example or '')}")
    return "\n".join(lines)
