"""``spct rubric``: look at a rubric before it is used."""

from __future__ import annotations

import sys

import click

from spct.cli.progress import write_line
from spct.rubrics import Rubric
from spct.rubrics.lint import lint as remarks_on


@click.group()
def rubric() -> None:
    """Look at rubrics (docs/rubrics.md)."""


@rubric.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE|NAME...")
def lint(files: tuple[str, ...]) -> int:
    """Check each rubric, and say what may be wrong with it though it can be used; exit code 1 if there is anything."""
    found = 0
    for file in files:
        read = Rubric.load(file)
        remarks = remarks_on(read)
        found += len(remarks)
        judged = len(read.judged)
        write_line(sys.stdout, f"{file}: {judged} criteria to judge, {len(read.criteria) - judged} checks")
        for remark in remarks:
            write_line(sys.stdout, f"  {remark}")
    return 1 if found else 0
