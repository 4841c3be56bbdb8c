"""``spct jury``: runs of several judges over the same items, joined into one whose jury they are."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.run.jury import join_runs
from spct.voting.jury import Comparable
from spct.wording import count


@click.command(cls=Command)
@click.argument("runs", nargs=-1, required=True, type=PATH, metavar="RUN...")
@click.option("--out", type=PATH, metavar="DIR", required=True, help="Put the joined run here.")
@click.option(
    "--name",
    "names",
    multiple=True,
    help="Name the judge of each run, in their order  [default: the directories' names].",
)
@click.option(
    "--weight",
    "weights",
    multiple=True,
    type=float,
    help="Give the judge of each run this weight, in their order  [default: 1].",
)
@click.option("--comparable", type=click.Choice([rule for rule in get_args(Comparable) if rule in ("raw", "rank")]),
              default="raw", show_default=True, help="Add up the scores of several judges in this way.")  # fmt: skip
def jury(
    runs: tuple[Path, ...], out: Path, names: tuple[str, ...], weights: tuple[float, ...], comparable: Comparable
) -> int:
    """Join the runs of several judges over the same items into a run of their jury; they stay as they are.

    Vote over it again by other rules, or over some of the judges, with spct vote.

    \b
    Example:
      spct jury run-a run-b --out both
    """
    joined = join_runs(runs, out, names=names, weights=weights, comparable=comparable)
    click.echo(f"{out}: {count(joined.items, 'item')}, {count(joined.judgments, 'judgment')} of {len(runs)} judges")
    if joined.left_out:
        click.echo(f"{count(joined.left_out, 'item')} left out, not being in all of the runs", err=True)
    return 0
