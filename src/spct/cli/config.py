"""``spct config``: which defaults hold, and where each comes from."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from spct.cli.defaults import Found, config_files, holding, own_file, table_of
from spct.cli.help import Command
from spct.cli.progress import write_line
from spct.cli.trust import trust
from spct.errors import InputError
from spct.harmless import line


@click.command(cls=Command)
@click.argument("command", nargs=-1, metavar="[COMMAND|trust]")
@click.pass_context
def config(context: click.Context, command: tuple[str, ...]) -> int:
    """Show the defaults that files and the environment give; with COMMAND all options of that command.

    A project's file may not say where requests go, nor name code to run, until you trust it as it stands: spct config trust.

    What is typed goes before SPCT_COMMAND_OPTION in the environment, that before a profile, that before the project's
    spct.toml (or [tool.spct] in pyproject.toml), that before your own file, that before what is built in.

    \b
    Examples:
      spct config
      spct config judge
    """
    group = context.find_root().command
    assert isinstance(group, click.Group)
    found: Found = context.find_root().obj or {}
    if command == ("trust",):
        return _trust(Path.cwd())
    if command and command not in found:
        raise InputError(f"got {' '.join(command)!r}, which is no command; expected one that spct --help lists")
    files = config_files(Path.cwd())
    write_line(sys.stdout, f"files read: {', '.join(line(str(file)) for file in files) or 'none'}")
    write_line(sys.stdout, f"your own:   {line(str(own_file()))}" + ("" if own_file().is_file() else " (not there)"))
    rows = [
        (" ".join(of), option, line(str(value)), line(source))
        for of, option, value, source in holding(group, found, "SPCT", lambda name: not command or name == command)
        if command or source != "built in"
    ]
    if not rows:
        write_line(sys.stdout, "every option has the default that is built in")
        return 0
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        write_line(sys.stdout, "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _trust(here: Path) -> int:
    """Trust the project's file as it stands."""
    files = [file for file in config_files(here) if file != own_file()]
    if not files:
        raise InputError("there is no spct.toml and no [tool.spct] here or above to trust")
    for file in files:
        trust(file, table_of(file))
        write_line(sys.stdout, f"trusted, as long as it says the same: {line(str(file))}")
    return 0
