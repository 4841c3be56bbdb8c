"""What a build counted, and how it is shown: ``report.json`` and lines for people."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spct.data.forms import FORMS


@dataclass
class SourceCounts:
    """One source: rows read, groups whose query a benchmark asks, labels left out by reason, items it could give."""

    rows: int = 0
    files: int = 0
    overlapping: int = 0
    overlap: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    dropped: Counter[str] = field(default_factory=Counter)
    usable: dict[str, int] = field(default_factory=dict)


@dataclass
class SplitCounts:
    """One output file. ``best_place`` counts where the better response of a pair stands, ``labels`` those of single responses."""

    items: int = 0
    conversations: int = 0
    forms: Counter[str] = field(default_factory=Counter)
    sources: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    domains: Counter[str] = field(default_factory=Counter)
    best_place: Counter[int] = field(default_factory=Counter)
    labels: Counter[int] = field(default_factory=Counter)


@dataclass
class Report:
    """All counts of a build. ``benchmarks`` holds the number of different queries of each."""

    seed: int
    method: str
    benchmarks: dict[str, int] = field(default_factory=dict)
    sources: dict[str, SourceCounts] = field(default_factory=dict)
    splits: dict[str, SplitCounts] = field(default_factory=dict)
    largest_conversation: int = 0

    def as_row(self) -> dict[str, Any]:
        """The report as JSON values, keys in a stable order."""
        return {
            "format": 1,
            "seed": self.seed,
            "overlap_method": self.method,
            "benchmarks": self.benchmarks,
            "sources": {name: _source_row(counts) for name, counts in self.sources.items()},
            "splits": {name: _split_row(counts) for name, counts in self.splits.items()},
            "largest_conversation": self.largest_conversation,
        }


def _source_row(counts: SourceCounts) -> dict[str, Any]:
    return {
        "files": counts.files,
        "rows": counts.rows,
        "dropped": dict(sorted(counts.dropped.items())),
        "overlapping_rows": counts.overlapping,
        "overlap": {name: dict(sorted(found.items())) for name, found in sorted(counts.overlap.items())},
        "usable": {form: counts.usable.get(form, 0) for form in FORMS},
    }


def _split_row(counts: SplitCounts) -> dict[str, Any]:
    return {
        "items": counts.items,
        "conversations": counts.conversations,
        "forms": {form: counts.forms[form] for form in FORMS},
        "sources": {name: {form: found[form] for form in FORMS} for name, found in sorted(counts.sources.items())},
        "domains": dict(sorted(counts.domains.items())),
        "labels_of_singles": {str(label): counts.labels[label] for label in sorted(counts.labels)},
        "best_place_of_pairs": {str(place): counts.best_place[place] for place in sorted(counts.best_place)},
    }


def report_lines(row: Mapping[str, Any]) -> Iterator[str]:
    """The report in Markdown: sources, what was left out and why, overlap with benchmarks, splits."""
    yield "| source | rows | overlap | single | pair | multi | usable |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for name, counts in row["sources"].items():
        cells = [counts["usable"][form] for form in FORMS]
        yield _row(name, counts["rows"], counts["overlapping_rows"], *cells, sum(cells))
    yield from _dropped_lines(row)
    yield from _overlap_lines(row)
    yield from (
        "",
        "| split | items | conversations | single | pair | multi |",
        "| --- | --- | --- | --- | --- | --- |",
    )
    for name, counts in row["splits"].items():
        shown = [f"{counts['forms'][f]:,} ({counts['forms'][f] / max(counts['items'], 1):.1%})" for f in FORMS]
        yield _row(name, counts["items"], counts["conversations"], *shown)
    yield from ("", "| source | " + " | ".join(row["splits"]) + " |", "| --- |" + " --- |" * len(row["splits"]))
    for name in row["sources"]:
        yield _row(name, *(sum(split["sources"].get(name, {}).values()) for split in row["splits"].values()))


def _dropped_lines(row: Mapping[str, Any]) -> Iterator[str]:
    rows = [(name, reason, n) for name, counts in row["sources"].items() for reason, n in counts["dropped"].items()]
    if rows:
        yield from ("", "| source | left out | labels |", "| --- | --- | --- |")
        yield from (_row(*cells) for cells in rows)


def _overlap_lines(row: Mapping[str, Any]) -> Iterator[str]:
    if not row["benchmarks"]:
        return
    sources = row["sources"]
    yield from ("", f"Rows left out because a benchmark asks their query: {row['overlap_method']}.")
    yield from ("", f"| benchmark | queries | {' | '.join(sources)} |", "| --- | --- |" + " --- |" * len(sources))
    for benchmark, queries in row["benchmarks"].items():
        found = [counts["overlap"].get(benchmark, {}) for counts in sources.values()]
        yield _row(benchmark, queries, *(f"{n.get('exact', 0)} exact, {n.get('near', 0)} near" for n in found))


def _row(*cells: object) -> str:
    return "| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells) + " |"
