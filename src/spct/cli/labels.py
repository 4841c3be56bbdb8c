"""``spct labels``: what people said of a run's items, as items with ground truth."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import orjson

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.progress import write_line
from spct.errors import InputError
from spct.items import item_to_row
from spct.run.labels import labelled_items
from spct.wording import count


@click.command(cls=Command)
@click.argument("run", type=PATH, metavar="RUN")
@click.option("--out", type=PATH, metavar="FILE", help="Write to this file  [default: stdout].")
def labels(run: Path, out: Path | None) -> int:
    """Write the items of RUN that somebody labelled with spct view --label, one a line, with the labels as ground truth.

    Every command that takes items takes them: judge, bench, data build, training.

    \b
    Example:
      spct labels run --out labelled.jsonl
    """
    rows = [orjson.dumps(item_to_row(item)).decode() for item in labelled_items(run)]
    if not rows:
        raise InputError(f"{run}: nobody has labelled an item of it; give labels with spct view {run} --label NAME")
    if out is None:
        for row in rows:
            write_line(sys.stdout, row)
        return 0
    out.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    click.echo(f"written: {count(len(rows), 'labelled item')} to {out}", err=True)
    return 0
