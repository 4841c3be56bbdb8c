"""``spct runs``: the run directories below a folder, a line each."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import orjson

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.progress import write_line
from spct.errors import InputError, RunError
from spct.run.listing import RunFacts, run_facts, runs_below
from spct.views.runs import runs_table


@click.command(cls=Command)
@click.argument("directory", default=".", type=PATH, metavar="[DIR]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON line per run on stdout.")
def runs(directory: Path, as_json: bool) -> int:
    """List the runs in DIR and below it (default: here), the latest first: what judged, how much, how well.

    \b
    Example:
      spct runs results
    """
    found: list[RunFacts] = []
    for place in runs_below(directory):
        try:
            found.append(run_facts(place))
        except RunError as error:
            click.echo(f"left out: {error}", err=True)
    if not found:
        raise InputError(
            f"{directory}: got no run in it or below it; name the folder in which runs were kept with --out"
        )
    found.sort(key=lambda facts: facts.started or "", reverse=True)
    for line in (orjson.dumps(facts.as_row()).decode() for facts in found) if as_json else runs_table(found):
        write_line(sys.stdout, line)
    return 0
