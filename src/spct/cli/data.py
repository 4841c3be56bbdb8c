"""``spct data``: training data from preference sources."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import orjson

from spct.cli.help import Group
from spct.cli.paths import PATH
from spct.cli.progress import write_line
from spct.errors import InputError


@click.group(cls=Group)
def data() -> None:
    """Make training data: sources, overlap with benchmarks, splits."""


@data.command()
@click.argument("recipe", type=PATH)
@click.option("--out", type=PATH, metavar="DIR", help="Write here  [default: where the recipe says].")
@click.option("--rebuild", is_flag=True, help="Build even if nothing has changed.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on stdout, and nothing else there.")
def build(recipe: Path, out: Path | None, rebuild: bool, as_json: bool) -> int:
    """Build the data of a RECIPE (YAML): a JSONL file per split, a report, a manifest.

    Paths in the recipe are relative to the working directory. Does nothing where the recipe and all that it reads are
    as they were.

    \b
    Example:
      spct data build recipe.yaml --out data
    """
    check_extra()
    from spct.data.build import REPORT
    from spct.data.build import build as build_data
    from spct.data.manifest import is_current
    from spct.data.recipe import DataRecipe
    from spct.data.report import report_lines
    from spct.recipe import load_recipe

    checked = load_recipe(DataRecipe, recipe)
    target = out or checked.out
    if target is None:
        raise InputError(f"{recipe}: says nowhere to write; add the key out, or give --out DIR")
    if not rebuild and is_current(checked, target):
        click.echo(f"{target} is up to date (--rebuild to build it again)", err=True)
        row = orjson.loads((target / REPORT).read_bytes())
    else:
        row = build_data(checked, target, lambda line: click.echo(line, err=True)).as_row()
    lines = [orjson.dumps(row).decode()] if as_json else list(report_lines(row))
    for line in lines:
        write_line(sys.stdout, line)
    return 0


@data.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON line per kind on stdout.")
def list_(as_json: bool) -> int:
    """Say which kinds of sources there are, what their rows look like and where they come from.

    \b
    Example:
      spct data list
    """
    from dataclasses import asdict

    from spct.data.sources import SOURCES, load_source

    for kind in SOURCES:
        about = load_source(kind).about
        if as_json:
            write_line(sys.stdout, orjson.dumps({"kind": kind, **asdict(about)}).decode())
            continue
        where = f"hub: {about.hub}" if about.hub else "not on the hub"
        for line in (kind, f"  {about.title}; {where}; licence: {about.licence}", f"  rows: {about.layout}"):
            write_line(sys.stdout, line)
    return 0


def check_extra() -> None:
    """Raise InputError unless pydantic, which checks recipes, is there."""
    try:
        import pydantic  # noqa: F401
    except ModuleNotFoundError:
        raise InputError("spct data checks recipes with pydantic: pip install 'spct[train]'") from None
