"""How to read a table, as options: shared by the commands that read items of a user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from spct.items import Reading, reading_of


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What the columns hold, and which sheet and encoding."""
    options = [
        click.option(
            "--map",
            multiple=True,
            metavar="FIELD=COLUMN",
            help="Say which column holds a field (prompt, responses, reference, best, ...); a * in COLUMN stands for any "
            "letters. Common names are understood without it.",
        ),
        click.option(
            "--group-by",
            metavar="COLUMN",
            help="Take rows with the same value in COLUMN for the responses of one item.",
        ),
        click.option(
            "--sheet", metavar="NAME", help="Read this sheet of a workbook  [default: the first with any rows]."
        ),
        click.option(
            "--encoding", metavar="NAME", help="Read a CSV file in this encoding  [default: UTF-8, or found and told]."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def make_reading(options: Mapping[str, Any]) -> Reading:
    """The reading that ``reading_options`` gave. Raises InputError."""
    return reading_of(
        options["map"], group_by=options["group_by"], sheet=options["sheet"], encoding=options["encoding"]
    )
