"""The guided vote beside the plain one on held-out queries: the same stored samples, nothing sampled anew.

At each k both vote over the same picks of k samples; the guided vote keeps the half of a pick that is rated best, rounded
up. Accuracy by Eq 10 (a tie is wrong) and with 1/#tied for a tie; intervals are 95%, from resampling whole queries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spct.bench.scoring.ballots import ballots_of
from spct.bench.scoring.curve import Point, curve, guided_by
from spct.bench.scoring.statistics import Figure, mean_figure
from spct.bench.suites.benchmark import Loaded
from spct.bench.suites.items import Items
from spct.train.meta.runs import JudgedRun
from spct.types import Item
from spct.voting.guided import default_k_meta

RatingsByItem = Mapping[str, Mapping[int, float]]
"""Ratings by the item's id and the index of the judgment."""


def guided_curve(run: JudgedRun, items: Sequence[Item], ratings: RatingsByItem, clusters: Mapping[str, str]) -> Any:
    """One row per k over the held-out ``items`` of a run, or None if there is nothing to compare two responses in.

    ``clusters`` names the query of each item.
    """
    paired = [item for item in items if item.best is not None and len(item.responses) > 1]
    if not paired:
        return None
    benchmark = Items()
    loaded = benchmark.assemble(paired)
    known = ballots_of(run.store)
    ballots = {item.id: known.get(item.id, []) for item in paired}
    plain = curve(benchmark, loaded, ballots)
    guided = curve(benchmark, loaded, ballots, keep=guided_by(ratings))
    return {
        "run": run.name,
        "items": len(paired),
        "points": [_row(one, other, loaded, clusters) for one, other in zip(plain.points, guided.points, strict=True)],
    }


def curve_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The curve as a Markdown table."""
    yield f"{found['run']}: {found['items']:,} held-out items, a tie counted as wrong (in brackets with 1/#tied)"
    yield ""
    yield "| k | kept | plain vote | guided vote | gain (95%) |"
    yield "| --- | --- | --- | --- | --- |"
    for row in found["points"]:
        both = [f"{100 * row[name]['strict']:.1f} ({100 * row[name]['random']:.1f})" for name in ("plain", "guided")]
        gain = row["gain"]
        bounds = "" if gain["low"] is None else f" ({100 * gain['low']:+.1f} .. {100 * gain['high']:+.1f})"
        yield f"| {row['k']} | {row['k_meta']} | {both[0]} | {both[1]} | {100 * gain['value']:+.1f}{bounds} |"


def _row(plain: Point, guided: Point, loaded: Loaded, clusters: Mapping[str, str]) -> dict[str, Any]:
    units = list(loaded.units)
    names = [clusters[unit.id] for unit in units]
    strict = [[point.units[unit].strict for unit in units] for point in (plain, guided)]
    gain = mean_figure([b - a for a, b in zip(*strict, strict=True)], names)
    return {
        "k": plain.k,
        "k_meta": default_k_meta(plain.k),
        "plain": _accuracy(plain),
        "guided": _accuracy(guided),
        "gain": _figure(gain),
    }


def _accuracy(point: Point) -> dict[str, float]:
    rows = point.units.values()
    return {
        "strict": round(sum(row.strict for row in rows) / len(rows), 6),
        "random": round(sum(row.random for row in rows) / len(rows), 6),
    }


def _figure(found: Figure) -> dict[str, float | None]:
    bounds = {"value": found.value, "low": found.low, "high": found.high}
    return {name: None if value is None else round(value, 6) for name, value in bounds.items()}
