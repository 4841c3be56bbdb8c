"""The stage ``data``: what is learned and compared on, as ``spct data build`` makes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spct.train.stage import Command, Stage, Tables


def _tables(reports: Mapping[str, Any]) -> Tables:
    from spct.data.report import report_lines

    for report in reports.values():
        yield "Data", report_lines(report)


STAGE = Stage(
    name="data",
    help="Build the items to learn from and to compare on.",
    recipe="spct.data.recipe:DataRecipe",
    command=Command(("data", "build"), resume=False),
    packages=("pydantic",),
    results=("*.jsonl", "report.json"),
    tables=_tables,
)
