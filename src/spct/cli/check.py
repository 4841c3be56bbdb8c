"""``spct check``: a run against limits; exit code 1 if one is not kept."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click
import orjson

from spct.cli.bench import check_extra
from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.progress import write_line
from spct.errors import InputError, RunError
from spct.run import RunStore


@click.command(cls=Command)
@click.argument("run", type=PATH, metavar="RUN")
@click.option("--min", "least", multiple=True, metavar="NAME=VALUE", help="Fail if this figure is below VALUE.")
@click.option("--max", "most", multiple=True, metavar="NAME=VALUE", help="Fail if this figure is above VALUE.")
@click.option(
    "--by",
    type=click.Choice(["point", "interval"]),
    default="point",
    show_default=True,
    help="Hold the value itself against a limit, or the end of its 95% interval that is nearer to failing. NAME@interval "
    "and NAME@point say it for one limit.",
)
@click.option("--against", type=PATH, metavar="BASE", help="Compare with this run over the same items.")
@click.option(
    "--max-drop", type=click.FloatRange(0, 1), help="How far the accuracy may be below that of --against  [default: 0]."
)
@click.option("--junit", type=PATH, metavar="FILE", help="Write the checks as JUnit XML.")
@click.option("--markdown", type=PATH, metavar="FILE", help="Add the checks as a Markdown table to the end of FILE.")
@click.option("--list", "list_figures", is_flag=True, help="List the figures that this run has, and check nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line per check on stdout, and nothing else there.")
def check(
    run: Path,
    least: tuple[str, ...],
    most: tuple[str, ...],
    by: Literal["point", "interval"],
    against: Path | None,
    max_drop: float | None,
    junit: Path | None,
    markdown: Path | None,
    list_figures: bool,
    as_json: bool,
) -> int:
    """Hold the run in directory RUN against limits, and exit with 1 if one of them is not kept.

    A run that has not judged all of its items fails, and so does a limit on a figure that has no value.

    \b
    Example:
      spct check run --min accuracy=0.8 --max invalid=0.02 --junit gate.xml
    """
    check_extra()
    from spct.bench import gate, gate_report
    from spct.bench.scoring.stored import open_stored

    limits = [gate.limit_of(text, "min", by) for text in least] + [gate.limit_of(text, "max", by) for text in most]
    if max_drop is not None and against is None:
        raise InputError("--max-drop is the drop from another run; name that one with --against BASE")
    if not (limits or against or list_figures):
        raise InputError(
            "nothing to check; give limits such as --min accuracy=0.8, or --against BASE; --list shows the figures"
        )
    stored = open_stored(run, label=str(run))
    if list_figures:
        for name, gauge in gate.gauges(stored).items():
            write_line(sys.stdout, f"{name:<40} {gate.shown(gauge):<28} {gauge.title}")
        return 0
    with contextlib.closing(RunStore.open(run)) as store:
        planned = gate.planned_items(store)
    checks = [gate.finished(stored, planned), *gate.check(stored, limits)]
    if against is not None:
        checks.append(gate.against(stored, open_stored(against, label=str(against)), max_drop or 0.0, by))
    if junit is not None:
        _write(junit, gate_report.check_junit(str(run), checks), "w")
    if markdown is not None:
        _write(markdown, gate_report.check_markdown(str(run), checks), "a")
    lines = map(_row, checks) if as_json else gate_report.check_lines(checks)
    for text in lines:
        write_line(sys.stdout, text)
    return 0 if all(check.passed for check in checks) else 1


def _row(found: object) -> str:
    return orjson.dumps(asdict(found)).decode()  # type: ignore[call-overload]


def _write(path: Path, text: str, mode: str) -> None:
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error
