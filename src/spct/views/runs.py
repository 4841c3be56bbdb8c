"""Runs in columns, a line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len

from spct.harmless import line
from spct.run.listing import RunFacts
from spct.wording import percent

TITLES = ("date", "run", "model", "judge", "k", "items", "accuracy", "invalid")


def runs_table(runs: Sequence[RunFacts]) -> Iterator[str]:
    """A header and a line for each run; columns as wide as what stands in them."""
    rows = [TITLES, *map(_cells, runs)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def _cells(facts: RunFacts) -> tuple[str, ...]:
    date = "-" if facts.started is None else facts.started[:16].replace("T", " ")
    finished = f"{facts.verdicts:,}" if facts.verdicts == facts.items else f"{facts.verdicts:,} of {facts.items:,}"
    accuracy = "-" if facts.accuracy is None else f"{100 * facts.accuracy:.1f}% of {facts.graded:,}"
    invalid = "-" if facts.invalid is None else percent(facts.invalid, 1)
    names = line(facts.directory), line(facts.model), line(facts.judge)
    return date, *names, str(facts.k), finished, accuracy, invalid
