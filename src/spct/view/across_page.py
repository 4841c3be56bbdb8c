"""What is seen across a run: curves over k, use of scores, calibration, the audit, and the principles that judgments name."""

from __future__ import annotations

import contextlib
import importlib.util
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spct.errors import SpctError
from spct.run import RunStore
from spct.view.principles import Principles, principles

if TYPE_CHECKING:
    from spct.bench.scoring.curve import CreditRule

NEEDED = ("numpy", "scipy", "sklearn")
BINS = 10
MOST_ITEMS = 5000
"""Items that curves and audit are of; of a larger run, so many are drawn."""
RULE_TITLES: dict[CreditRule, str] = {
    "own": "the benchmark's own rule",
    "strict": "a tie counts as wrong",
    "random": "a tie earns 1/#tied",
}
LINKS = {
    ("position", ""): "show=flipped",
    ("length", ""): "show=wrong",
    ("scores", "votes tied"): "show=tied",
    ("scores", "single judgments tied"): "sort=margin",
    ("scores", "invalid"): "show=invalid",
    ("domains", ""): "show=wrong",
}
"""The items that a finding is about, by probe and the begin of its name."""


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines over ``x``: each with a name, its values, and the bounds of its interval where it has one.

    ``note`` says what of it is not drawn.
    """

    title: str
    x_title: str
    y_title: str
    x: list[float]
    series: list[dict[str, Any]]
    bars: bool = False
    note: str = ""

    def rows(self) -> Iterator[tuple[str, list[str]]]:
        """The same as a table: x, and each line's value with its interval."""
        for at, x in enumerate(self.x):
            yield f"{x:g}", [_cell(line, at) for line in self.series]

    def as_row(self) -> dict[str, Any]:
        return {"x": self.x, "series": self.series, "bars": self.bars, "xTitle": self.x_title, "yTitle": self.y_title}


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding of the audit in words, and the filters that lead to its items, "" for none."""

    probe: str
    name: str
    figure: str
    sentence: str
    items: str


@dataclass(frozen=True, slots=True)
class Across:
    """``missing`` says what cannot be shown and why, ``part`` of how many items curves and audit are if not of all."""

    plots: list[Plot]
    findings: list[Finding]
    principles: Principles
    missing: list[str]
    part: str = ""


def across(directory: Path, db: sqlite3.Connection, most: int = MOST_ITEMS) -> Across:
    """Everything that the run allows, curves and audit over ``most`` items. Raises RunError where it cannot be read."""
    plots: list[Plot] = []
    findings: list[Finding] = []
    missing: list[str] = []
    part = ""
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        missing.append(
            "Curves over k, the audit and groups of principles need more packages: pip install 'spct[bench]'."
        )
    else:
        try:
            plots, findings, part = _scored(directory, most)
        except SpctError as error:
            missing.append(f"No curves and no audit: {error}.")
    plots += _calibration(db)
    with contextlib.closing(RunStore.open(directory)) as store:
        return Across(plots, findings, principles(store, db), missing, part)


def _scored(directory: Path, most: int) -> tuple[list[Plot], list[Finding], str]:
    """Curves, audit, and of what part of the run they are, "" for all of it."""
    from spct.bench.audit.audit import audit, shown
    from spct.bench.scoring.results import score_run
    from spct.bench.scoring.stored import open_stored, part_of

    whole = open_stored(directory, label=directory.name)
    stored = part_of(whole, most)
    result = score_run(stored)
    plots = []
    if result.points:
        rules = [rule for rule in RULE_TITLES if rule != "own" or _own_differs(result.points)]
        ks = [float(point.k) for point in result.points]
        lines = [_line(RULE_TITLES[rule], [point.rules[rule].main for point in result.points]) for rule in rules]
        plots.append(Plot("Accuracy over k", "judgments k", "accuracy (%)", ks, lines))
    if result.histogram:
        scores = [float(score) for score in result.histogram]
        counts = [float(count) for count in result.histogram.values()]
        plots.append(
            Plot("Use of scores", "score", "times given", scores, [{"name": "times given", "values": counts}], True)
        )
    findings = [
        Finding(found.probe, found.name, shown(found), found.sentence, _items_of(found.probe, found.name))
        for found in (audit([stored])[0].findings if result.points else ())
        if found.measurable
    ]
    drawn, of = len(stored.loaded.items), len(whole.loaded.items)
    part = (
        f"Curves, scores and audit are of {drawn:,} items drawn from the {of:,} that are judged." if drawn < of else ""
    )
    return plots, findings, part


def _own_differs(points: Sequence[Any]) -> bool:
    """Whether the benchmark's own rule is neither of the two others."""
    own, *others = ([point.rules[rule].main.value for point in points] for rule in RULE_TITLES)
    return own not in others


def _line(name: str, figures: Sequence[Any]) -> dict[str, Any]:
    return {
        "name": name,
        "values": [100 * figure.value for figure in figures],
        "low": [None if figure.low is None else 100 * figure.low for figure in figures],
        "high": [None if figure.high is None else 100 * figure.high for figure in figures],
    }


def _items_of(probe: str, name: str) -> str:
    found = (link for (of, begin), link in LINKS.items() if of == probe and name.startswith(begin))
    return next(found, "")


def _calibration(db: sqlite3.Connection) -> list[Plot]:
    """How often votes of each confidence are right: not what the confidence promises, but what one wants to know of it."""
    rows = db.execute(
        f"SELECT min(cast(confidence * {BINS} AS INTEGER), {BINS - 1}) AS bin, avg(confidence), avg(grade = 'correct'), count(*) "
        "FROM cells WHERE confidence IS NOT NULL AND grade IS NOT NULL GROUP BY bin ORDER BY bin"
    ).fetchall()
    if len(rows) < 2:
        return []
    lines = [
        {"name": "right (%)", "values": [100 * row[2] for row in rows]},
        {"name": "items in the bin (% of all)", "values": [100 * row[3] / sum(r[3] for r in rows) for row in rows]},
    ]
    return [Plot("Right by confidence", "confidence", "%", [round(row[1], 3) for row in rows], lines)]


def _cell(line: Mapping[str, Any], at: int) -> str:
    value, low, high = (line[key][at] if line.get(key) else None for key in ("values", "low", "high"))
    interval = "" if low is None or high is None else f" [{low:.1f}, {high:.1f}]"
    return "–" if value is None else f"{value:,.1f}".removesuffix(".0") + interval
