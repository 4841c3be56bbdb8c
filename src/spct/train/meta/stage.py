"""The stage ``meta``: the meta RM on the judgments of ``rft`` and ``samples``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spct.train.common.tables import cell
from spct.train.stage import OUT, TRAINING, Section, Stage, Tables, Upstream


def _inputs(upstream: Upstream) -> Section:
    jobs = [upstream.jobs[name] for name in ("rft", "samples") if name in upstream.jobs]
    return {"model": upstream.model, "runs": [f"{OUT}/{job.directory}" for job in jobs] or None}


def _tables(reports: Mapping[str, Any]) -> Tables:
    from spct.bench.report import Table
    from spct.train.meta.curve import curve_lines

    for report in reports.values():
        rows = [[name, cell(report["before"].get(name)), cell(after)] for name, after in report["figures"].items()]
        curves = [line for curve in report["curves"] for line in ("", *curve_lines(curve))]
        yield "Meta RM", [*Table(["held out", "before", "after"], rows).markdown(), *curves]


STAGE = Stage(
    name="meta",
    help="Train the meta RM, which rates judgments, on those of rft and samples.",
    recipe="spct.train.meta.recipe:MetaRecipe",
    run="spct.train.meta.run:train_meta",
    commands={"meta": "spct.cli.train.meta:meta"},
    packages=TRAINING,
    inputs=_inputs,
    keeps_best=True,
    results=("model", "report.json"),
    tables=_tables,
)
