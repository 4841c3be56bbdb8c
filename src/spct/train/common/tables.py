"""Parts of the report of ``spct train all`` that several stages have: figures, and curves over the steps of a training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MOST_ROWS = 12
"""Rows of a training curve in the Markdown report; all are in the JSON."""


def log_lines(log: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Iterator[str]:
    """Rows of a log that have the second column, as a Markdown table, thinned out evenly; first and last stay."""
    from spct.bench.report import Table  # it needs numpy, which the command group does not

    found = [row for row in log if columns[1] in row]
    if len(found) > MOST_ROWS:
        found = [found[round(i * (len(found) - 1) / (MOST_ROWS - 1))] for i in range(MOST_ROWS)]
    shown = [name for name in columns if any(name in row for row in found)]
    titles = [name.removeprefix("eval_") for name in shown]
    if found:
        yield from Table(titles, [[cell(row.get(name)) for name in shown] for row in found]).markdown()


def cell(value: Any) -> str:
    """Whole numbers in groups of three digits, others to four digits, none as a dash."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
