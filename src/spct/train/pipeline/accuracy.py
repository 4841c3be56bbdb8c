"""Accuracy of the judge before training and after each stage, and of the baselines, on the same items of each benchmark.

Differences between stages are paired by item, with 95% intervals; nothing else is computed here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spct.bench.report import Table
from spct.bench.scoring.compare import compare
from spct.bench.scoring.stored import open_stored
from spct.bench.suites import load_benchmark
from spct.data.output import read_json
from spct.train import Job
from spct.train.baselines import KINDS


def measured(jobs: Sequence[Job], out: Path) -> dict[str, Any]:
    """By benchmark: a row per model and k, the paired difference of each stage's model to the one before, and of the last to
    each baseline.
    """
    found: dict[str, Any] = {}
    for job in jobs:
        name = str(job.values["name"])
        (run,) = (read_json(out / job.directory / "results.json") or {})["runs"]
        entry = found.setdefault(name, {"items": run["data"]["items"], "points": [], "changes": [], "models": {}})
        model = job.name.rsplit("-", 1)[-1]
        entry["points"] += _points(model, run)
        entry["models"][model] = job.directory
    for name, entry in found.items():
        chain = [one for one in entry["models"].items() if one[0] not in KINDS]
        beside = [one for one in entry["models"].items() if one[0] in KINDS]
        pairs = [*itertools.pairwise(chain), *((baseline, *chain[-1:]) for baseline in beside)]
        entry["changes"] = [_change(name, *two, out) for two in pairs if len(two) == 2]
    return found


def _points(model: str, run: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if run["greedy"] is not None:
        yield {"model": model, "vote": "greedy", **_point(run["greedy"])}
    for vote in ("points", "guided"):
        for point in run[vote]:
            yield {"model": model, "vote": "guided" if vote == "guided" else "plain", **_point(point)}


def _point(point: Mapping[str, Any]) -> dict[str, Any]:
    """Accuracy by the benchmark's own tie rule, and with a tie counted as wrong (Eq 10)."""
    rules = {name: point["rules"][name]["headline"] or point["rules"][name]["units"] for name in ("own", "strict")}
    return {"k": point["k"], **rules, "invalid": point["grades"]["invalid"]}


def _change(benchmark: str, before: tuple[str, str], after: tuple[str, str], out: Path) -> dict[str, Any]:
    """The vote of all k samples after a stage against that before it, ties counted as wrong."""
    kind = load_benchmark(benchmark)
    found = compare(*(open_stored(out / directory, kind) for _, directory in (after, before)), rule="strict")
    low, high = found.difference.low, found.difference.high
    difference = {"value": found.difference.value, "low": low, "high": high}
    return {"from": before[0], "to": after[0], "k": found.k, "difference": difference, "p_value": found.p_value}


def accuracy_lines(entry: Mapping[str, Any]) -> Iterator[str]:
    """A row per vote and k, two columns per model: the benchmark's own tie rule, and a tie counted as wrong."""
    models = list(entry["models"])
    cells = {(row["vote"], row["k"], row["model"]): row for row in entry["points"]}
    votes = list(dict.fromkeys((vote, k) for vote, k, _ in cells))
    rows = [
        [
            _vote(vote, k),
            *(_percent(cells.get((vote, k, model)), rule) for model in models for rule in ("own", "strict")),
        ]
        for vote, k in votes
    ]
    titles = [f"{entry['items']:,} items", *(f"{m}{t}" for m in models for t in ("", ", ties wrong"))]
    yield from Table(titles, rows).markdown()
    for change in entry["changes"]:
        figure = _interval(change["difference"], "+.1f")
        yield ""
        yield f"{change['from']} to {change['to']} at k = {change['k']}, ties wrong: {figure} points, p = {change['p_value']:.3f}"


def ablation_lines(branches: Mapping[str, Any]) -> Iterator[str]:
    """The last model of each branch at its largest k, plain and guided, and greedily; baselines where they are others.

    ``branches`` are what ``measured`` gave of each.
    """
    rows: list[list[str]] = []
    shown: set[str] = set()
    for name, found in branches.items():
        for benchmark, entry in found.items():
            beside = [model for model in entry["models"] if model in KINDS]
            last = [model for model in entry["models"] if model not in KINDS][-1:]
            for model in [*last, *beside]:
                if model not in KINDS or entry["models"][model] not in shown:
                    rows.append([name, benchmark, model, *_last(entry["points"], model)])
                shown.add(entry["models"][model])
    yield from Table(["branch", "benchmark", "model", "k", "greedy", "vote", "guided vote"], rows).markdown()
    yield from ("", "Points of 100, ties counted as wrong.")


def _last(points: Sequence[Mapping[str, Any]], model: str) -> list[str]:
    own = [row for row in points if row["model"] == model]
    last = {row["vote"]: row for row in own}
    cells = [_percent(last.get(vote), "strict") for vote in ("greedy", "plain", "guided")]
    return [str(max((row["k"] for row in own), default=0)), *cells]


def _vote(vote: str, k: int) -> str:
    return vote if vote == "greedy" else f"vote of {k}" + (", guided" if vote == "guided" else "")


def _percent(row: Mapping[str, Any] | None, rule: str) -> str:
    return "-" if row is None else _interval(row[rule], ".1f")


def _interval(figure: Mapping[str, Any], form: str) -> str:
    value = f"{100 * figure['value']:{form}}"
    if figure["low"] is None or figure["high"] is None:
        return value
    return f"{value} [{100 * figure['low']:{form}}, {100 * figure['high']:{form}}]"
