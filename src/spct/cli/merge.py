"""``spct merge``: runs over different items, judged apart, joined into one."""

from __future__ import annotations

from pathlib import Path

import click

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.run.merging import merge_runs
from spct.wording import count


@click.command(cls=Command)
@click.argument("runs", nargs=-1, required=True, type=PATH, metavar="RUN...")
@click.option("--out", type=PATH, metavar="DIR", required=True, help="Put the joined run here.")
def merge(runs: tuple[Path, ...], out: Path) -> int:
    """Join runs of equal settings over different items into one run; they stay as they are.

    The items follow each other as the runs are named, and the verdicts are those of one run over all of them.
    Labels that people gave come along.

    \b
    Example:
      spct merge part-1 part-2 --out whole
    """
    merged = merge_runs(runs, out)
    labels = f", {count(merged.labels, 'label')}" if merged.labels else ""
    click.echo(
        f"{out}: {count(merged.items, 'item')}, {count(merged.judgments, 'judgment')}{labels} of {len(runs)} runs"
    )
    if merged.unfinished:
        click.echo(
            f"{merged.unfinished:,} of them are begun and have no verdict; go on with spct judge ... --resume", err=True
        )
    return 0
