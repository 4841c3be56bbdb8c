"""``spct jury``: runs of several judges over the same items, joined into one whose jury they are."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from spct.cli.paths import PATH
from spct.run.jury import join_runs
from spct.voting.jury import Comparable


@click.command()
@click.argument("runs", nargs=-1, required=True, type=PATH, metavar="RUN...")
@click.option("--out", type=PATH, metavar="DIR", required=True, help="Where the joined run goes.")
@click.option(
    "--name", "names", multiple=True, help="A judge's name, for each run in turn  [default: the directories']."
)
@click.option(
    "--weight", "weights", multiple=True, type=float, help="A judge's weight, for each run in turn  [default: 1]."
)
@click.option("--comparable", type=click.Choice([rule for rule in get_args(Comparable) if rule in ("raw", "rank")]),
              default="raw", show_default=True, help="How the scores of several judges are added up.")  # fmt: skip
def jury(
    runs: tuple[Path, ...], out: Path, names: tuple[str, ...], weights: tuple[float, ...], comparable: Comparable
) -> int:
    """Join the runs of several judges over the same items into a run of their jury; they stay as they are.

    Vote over it again by other rules, or over some of the judges, with spct vote.
    """
    joined = join_runs(runs, out, names=names, weights=weights, comparable=comparable)
    click.echo(f"{out}: {joined.items:,} items, {joined.judgments:,} judgments of {len(runs)} judges")
    if joined.left_out:
        click.echo(f"{joined.left_out:,} items are not in all of the runs and are left out", err=True)
    return 0
