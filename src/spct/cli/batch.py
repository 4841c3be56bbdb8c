"""Judging on a Ray cluster on the command line: the options, the batch, and what it says. Shared by the commands that judge."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spct.cli.budget import prices_of
from spct.cli.logs import listen
from spct.cli.progress import write_line
from spct.cli.running import doubt, say_notes
from spct.errors import InputError, ResumeRefusedError, RunError
from spct.harmless import line
from spct.judges import Judge
from spct.prices import Prices
from spct.run import RunStore
from spct.run.connection import holds_run
from spct.run.stored import stored_settings
from spct.types import Item
from spct.views import Totals
from spct.views.totals import added_up, totals_of

if TYPE_CHECKING:
    from spct.cluster.batch import Report, Seats
    from spct.cluster.cut import Cut

AUTO = "auto"
REFUSED = {
    "cache": "--cache",
    "estimated": "--estimate",
    "pilot": "--pilot",
    "max_cost": "--max-cost",
    "max_tokens_total": "--max-tokens-total",
    "max_time": "--max-time",
}
"""Options that one process keeps to and many cannot together."""


def ray_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Whether work is done on a Ray cluster, and by how many actors."""
    options = [
        click.option(
            "--ray",
            is_flag=False,
            flag_value=AUTO,
            metavar="[ADDRESS]",
            help="Work on the Ray cluster at ADDRESS, at RAY_ADDRESS, or on one of this machine alone (docs/cluster.md).",
        ),
        click.option(
            "--actors",
            type=click.IntRange(1),
            help="With --ray: have so many models side by side  [default: as fit the cluster].",
        ),
        click.option(
            "--gpus-per-actor",
            type=click.FloatRange(0),
            default=0.0,
            show_default=True,
            help="With --ray: give each actor so many GPUs, for models in its process.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def batch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Whether, and how, items are judged on a Ray cluster."""
    in_shards = click.option(
        "--shard-items",
        type=click.IntRange(1),
        default=1000,
        show_default=True,
        help="With --ray: give an actor so many items at a time.",
    )
    return ray_options(in_shards(command))


@contextlib.contextmanager
def seats_on_ray(options: Mapping[str, Any], most: int | None = None) -> Iterator[Seats]:
    """The actors of the options, at most ``most``, on the cluster of ``--ray``, to which this process is connected meanwhile."""
    from spct.cluster.batch import Seats
    from spct.cluster.connecting import actors_that_fit, connected

    gpus, cpus = options["gpus_per_actor"], options.get("threads") or 1
    with connected(None if options["ray"] == AUTO else options["ray"]) as ray:
        actors = options["actors"] or actors_that_fit(ray, gpus, cpus)
        yield Seats(actors if most is None else min(actors, most), gpus, cpus, options.get("concurrency"))


@dataclass(frozen=True, slots=True)
class BatchDone:
    """The sums over the whole run, and the special tokens of the engine that judged."""

    totals: Totals
    special_tokens: Sequence[str]


@dataclass(frozen=True, slots=True)
class BatchItems:
    """What is to be judged: ``facts`` are all that it depends on, as JSON; ``items`` streams it once, checked by the judge."""

    facts: Mapping[str, Any]
    items: Callable[[], Iterable[Item]]


def check_batch(options: Mapping[str, Any], out: Path | None) -> None:
    """Raise InputError for what does not go with --ray."""
    if out is None:
        raise InputError("--ray brings everything home into a run directory; name it with --out DIR")
    for name, flag in REFUSED.items():
        if options.get(name):
            raise InputError(
                f"{flag} and --ray are both given; a batch on many machines keeps no such limit: drop one of them"
            )


async def judge_batch(
    make: Callable[[Mapping[str, Any]], Judge],
    given: BatchItems,
    out: Path,
    options: Mapping[str, Any],
    *,
    settings: Mapping[str, Any],
    session: Mapping[str, Any],
    printed: bool = False,
) -> BatchDone:
    """Judge the items on the cluster of the options into ``out``.

    ``make`` makes the judge of the options, in every actor; ``settings`` and ``session`` are as for ``opened_run``. ``printed``
    says whether the verdicts go to stdout as JSON in the end.
    """
    from spct.cluster.batch import Batch, check_seats
    from spct.cluster.home import Home

    prices = prices_of(options)
    cut = _cut(given, out, options)
    check_seats(cut, options.get("adaptive"))
    with seats_on_ray(options, len(cut.shards)) as seats:
        say(f"{cut.items:,} items in {len(cut.shards):,} shards, for {seats.actors} actors")
        facts = {**session, "items": cut.items, "shards": len(cut.shards), "actors": seats.actors}
        batch = Batch(
            cut,
            partial(_made_there, make, {**options, "sharing": seats.actors}, logging.getLogger("spct").level),
            seats,
            settings,
            lambda ready: Home.begun(
                out, cut, ready.settings, {**ready.session, **facts}, ready.templates, resume=options["resume"]
            ),
            say,
        )
        report = await batch.run()
        _tell(report, batch.line(report.seconds), batch.set_aside)
    doubts = dict.fromkeys(doubt(engine.model_id, engine.capabilities, options) for engine in batch.engines)
    say_notes(f"{why}: one process may get other samples, and so may another batch" for why in doubts if why)
    special = tuple(dict.fromkeys(token for engine in batch.engines for token in engine.capabilities.special_tokens))
    return BatchDone(_totals(out, cut.items, printed, prices), special)


def _cut(given: BatchItems, out: Path, options: Mapping[str, Any]) -> Cut:
    """The shards: those that are there if the run is gone on with, or else made now."""
    from spct.cluster.cut import cut, kept_cut

    facts = {**given.facts, "shard_items": options["shard_items"]}
    found = kept_cut(out, facts) if options["resume"] else None
    if found is not None:
        return found
    if holds_run(out):
        if options["resume"]:
            raise ResumeRefusedError(
                f"{out} holds a run that was not made with --ray; go on with it without, or name another --out"
            )
        raise RunError(f"{out} already holds a run; add --resume to go on with it, or name another --out")
    return cut(given.items(), out, options["shard_items"], facts)


def _made_there(make: Callable[[Mapping[str, Any]], Judge], options: Mapping[str, Any], level: int) -> Judge:
    """The judge, in an actor: what is logged from this level up goes to stderr, which Ray keeps; nothing is for level 0."""
    if level:
        listen(level)
    return make(options)


def say(text: str) -> None:
    """Tell the user how the work on the cluster goes, in a line: what a server or a model wrote may be in it."""
    click.echo(line(text), err=True)


def _tell(report: Report, line: str, set_aside: int) -> None:
    """What happened on the way, once it is over."""
    lost = f", {report.nodes_lost} nodes lost" if report.nodes_lost else ""
    say(f"done: {line}{lost}, {report.failures} failures")
    say(
        f"time: {report.seconds:.1f} s, of which {report.started:.1f} s until an actor could judge and {report.homing:.1f} s to "
        "add shards to the run"
    )
    if set_aside:
        say(f"set aside: {set_aside} items over which two actors died; spct show lists them by the error ActorDied")
    for number, why in list(report.undone.items())[:5]:
        say(f"undone: shard {number}: {why}")
    if report.undone:
        say(f"undone: {len(report.undone)} shards in all; go on with --resume")


def _totals(out: Path, planned: int, printed: bool, prices: Prices) -> Totals:
    """What the run adds up to, read once from front to back; its verdicts are ``printed`` meanwhile as JSON.

    The run's notes are said before.
    """
    with contextlib.closing(RunStore.open(out)) as store:
        totals = replace(totals_of(store, stored_settings(store)[1]), planned=planned, prices=prices)
        say_notes(store.notes())
        for stored in added_up(store, totals):
            if printed and stored.finished:
                write_line(sys.stdout, stored.verdict.to_json())
        totals.seconds = float(store.meta("seconds") or 0)
    return totals
