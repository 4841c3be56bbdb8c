"""``spct export``: a run as a table in a file."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.run import RunStore
from spct.views.export import FORMS, Rows, check_form, run_table, write_table
from spct.wording import count


@click.command(cls=Command)
@click.argument("run", type=PATH, metavar="RUN")
@click.option(
    "--to",
    type=PATH,
    required=True,
    metavar="FILE",
    help=f"Write this file, in the form that its name ends in: {', '.join(FORMS)}.",
)
@click.option(
    "--rows",
    type=click.Choice(["items", "responses"]),
    default="items",
    show_default=True,
    help="Write a row for each item with its responses side by side, or a row for each response.",
)
def export(run: Path, to: Path, rows: Rows) -> int:
    """Write the run in directory RUN as a table: texts, ranks, totals, confidence, and the reasons in words.

    The reasons are the critique of one typical judgment of each item. A file that is there is replaced.

    \b
    Example:
      spct export run --to verdicts.xlsx
    """
    check_form(to)
    with contextlib.closing(RunStore.open(run)) as store:
        written = write_table(run_table(store, rows), to)
    click.echo(f"written: {to}, {count(written, 'row')}", err=True)
    return 0
