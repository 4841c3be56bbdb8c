"""``spct audit``: where the judge of a run leans."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from spct.bench.suites import load_benchmark
from spct.cli.bench import check_extra
from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.probe import check_installed, report, stored_results
from spct.cli.progress import write_line
from spct.errors import InputError
from spct.run import RunStore


@click.command(cls=Command)
@click.argument("runs", nargs=-1, required=True, type=PATH, metavar="RUN...")
@click.option("--judge-name", metavar="NAME", help="The judge's name among the writers of the responses.")
@click.option("--benchmark", metavar="NAME", help="The benchmark  [default: the run's own, or items].")
@click.option(
    "--by",
    type=click.Choice(["step"]),
    help="Show how the rewards in a recording of spct serve moved, by the trainer's step.",
)
@click.option("--probes", is_flag=True, help="Of a run made by spct probe: what each change did to the judge.")
@click.option("--out", type=PATH, metavar="DIR", help="Where to write  [default: the (first) run].")
@click.option(
    "--plots/--no-plots", default=True, show_default=True, help="Draw the figures, where matplotlib is installed."
)
@click.option("--json", "as_json", is_flag=True, help="The findings as JSON on stdout, and nothing else there.")
def audit(
    runs: tuple[Path, ...],
    judge_name: str | None,
    benchmark: str | None,
    by: str | None,
    probes: bool,
    out: Path | None,
    plots: bool,
    as_json: bool,
) -> int:
    """Audit the judge of each RUN: position, length, style, domains, use of scores, self-preference.

    Writes audit.json, audit.md and a figure; several runs on the same items are also ranked over the domains.

    \b
    Example:
      spct audit run
    """
    check_extra()
    if probes:
        return _probes(runs, out, plots, as_json)
    if by is not None:
        return _by_step(runs, out, plots, as_json)
    from spct.bench.audit.audit import audit as audit_runs
    from spct.bench.audit.audit import audit_lines, audit_markdown
    from spct.bench.scoring.stored import open_stored

    named = None if benchmark is None else load_benchmark(benchmark)
    stored = [open_stored(run, named, label=run.name if len(runs) > 1 else None) for run in runs]
    found = audit_runs(stored, judge_name)
    rows = {"format": 1, "audits": [one.as_row() for one in found]}
    _say(rows, [line for one in found for line in (*audit_lines(one), "")], as_json)
    out = out or runs[0]
    out.mkdir(parents=True, exist_ok=True)
    pictures: list[str] = []
    if plots:
        from spct.bench.audit.plot import audit_plot

        names = ["audit"] if len(found) == 1 else [f"audit-{run.name}" for run in runs]
        pictures = [audit_plot(one, out, name) for one, name in zip(found, names, strict=True)]
    _write(out, "audit", rows, audit_markdown(found, pictures), pictures)
    return 0


MOST_DRAWN = 12
"""Runs of a recording that get a figure, the largest first: whoever names runs may name many."""


def _by_step(runs: tuple[Path, ...], out: Path | None, plots: bool, as_json: bool) -> int:
    from spct.bench.audit.drift import drifts_of
    from spct.bench.audit.drift_report import drift_lines, drift_markdown, drift_plot

    if len(runs) > 1:
        raise InputError(f"--by step shows one recording at a time, got {len(runs)}")
    with contextlib.closing(RunStore.open(runs[0])) as store:
        drifts = drifts_of(store)
    rows = {"format": 1, "drifts": [one.as_row() for one in drifts]}
    _say(rows, [line for one in drifts for line in (*drift_lines(one), "")], as_json)
    out = out or runs[0]
    out.mkdir(parents=True, exist_ok=True)
    pictures: list[str] = []
    if plots:
        pictures = [drift_plot(one, out, f"drift-{i}") for i, one in enumerate(drifts[:MOST_DRAWN], 1)]
        if (more := len(drifts) - MOST_DRAWN) > 0:
            click.echo(f"figures of the {MOST_DRAWN} largest runs; {more} more are in the tables alone", err=True)
    _write(out, "drift", rows, drift_markdown(drifts, pictures), pictures)
    return 0


def _say(rows: dict[str, Any], lines: Sequence[str], as_json: bool) -> None:
    """The findings on stdout, as JSON or for people."""
    for line in [orjson.dumps(rows).decode()] if as_json else lines:
        write_line(sys.stdout, line)


def _write(out: Path, name: str, rows: dict[str, Any], markdown: str, pictures: Sequence[str]) -> None:
    """The findings as NAME.json and NAME.md beside their pictures; what was written is said."""
    (out / f"{name}.json").write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2))
    (out / f"{name}.md").write_text(markdown)
    click.echo(f"written: {', '.join(str(out / one) for one in (f'{name}.json', f'{name}.md', *pictures))}", err=True)


def _probes(runs: tuple[Path, ...], out: Path | None, plots: bool, as_json: bool) -> int:
    check_installed()
    if len(runs) > 1:
        raise InputError(f"--probes shows one run at a time, got {len(runs)}")
    with contextlib.closing(RunStore.open(runs[0])) as store:
        results = stored_results(store)
        label = store.settings.get("model", runs[0].name)
    report(results, label, out or runs[0], plots=plots, as_json=as_json)
    return 0
