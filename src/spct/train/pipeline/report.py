"""The one report of all stages: what each wrote, put side by side, and accuracy after each stage on the same items.

``report.json`` has everything, ``report.md`` the same as tables. A stage that is not done is left out. Differences
between stages are paired by item, with 95% intervals; nothing else is computed here.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spct.bench.report import Table
from spct.bench.scoring.compare import compare
from spct.bench.scoring.stored import open_stored
from spct.bench.suites import load_benchmark
from spct.data.output import write_json, write_text
from spct.data.report import report_lines as data_lines
from spct.train.common.directory import read_json
from spct.train.meta.curve import curve_lines
from spct.train.pipeline.plan import BASE, TRAINED, Job
from spct.train.pipeline.recipe import BASELINES, MAIN
from spct.train.pipeline.run import Branches, state_of, unused
from spct.train.rft.run import report_lines as rft_lines

CHAIN = (BASE, *TRAINED)
MODELS = (*CHAIN, *BASELINES)
MOST_ROWS = 12
"""Rows of a training curve in the Markdown report; all are in the JSON."""


def write_report(branches: Branches, out: Path) -> dict[str, Any]:
    """Write report.json and report.md of what is done so far, and give the report."""
    report = {
        "branches": {name: _branch(jobs, out) for name, jobs in branches.items()},
        "unused": unused(branches, out),
    }
    write_json(out / "report.json", report)
    write_text(out / "report.md", "\n".join(report_lines(report)) + "\n")
    return report


def _branch(jobs: Mapping[str, Job], out: Path) -> dict[str, Any]:
    done = {name: job for name, job in jobs.items() if state_of(job, out) == "done"}
    reports = {
        name: read_json(out / job.directory / ("export.json" if job.stage in ("gguf", "export") else "report.json"))
        for name, job in done.items()
        if job.stage != "bench"
    }
    return {
        "jobs": [_job_row(job, job.name in done, out) for job in jobs.values()],
        "stages": reports,
        "bench": _bench([job for job in done.values() if job.stage == "bench"], out),
    }


def _job_row(job: Job, done: bool, out: Path) -> dict[str, Any]:
    manifest = read_json(out / f"{job.directory}.json") if done else None
    row = {"name": job.name, "directory": job.directory, "done": done}
    return row | {key: manifest[key] for key in ("command", "last_session_s") if manifest}


def _bench(jobs: Sequence[Job], out: Path) -> dict[str, Any]:
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
        chain = [(model, entry["models"][model]) for model in CHAIN if model in entry["models"]]
        beside = [(model, entry["models"][model]) for model in BASELINES if model in entry["models"]]
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


def report_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report as Markdown."""
    yield "# Training report"
    known: set[str] = set()
    for name, branch in report["branches"].items():
        yield from ("", f"## {'Main recipe' if name == MAIN else f'Ablation: {name}'}", "")
        yield from _jobs_table(branch["jobs"]).markdown()
        for title, lines in _sections(branch, known):
            yield from ("", f"### {title}", "", *lines)
        known |= {job["directory"] for job in branch["jobs"]}
    if len(report["branches"]) > 1:
        yield from ("", "## Ablations side by side", "", *_ablations(report["branches"]))
    if report["unused"]:
        yield from ("", f"Left from earlier recipes, and used by none of this: {', '.join(report['unused'])}.")


def _sections(branch: Mapping[str, Any], known: Container[str]) -> Iterator[tuple[str, list[str]]]:
    """Titles and lines of a branch; of stages in the directories ``known``, which another branch has shown, none."""
    new = {job["name"] for job in branch["jobs"] if job["directory"] not in known}
    stages = {name: found for name, found in branch["stages"].items() if name in new}
    if "data" in stages:
        yield "Data", list(data_lines(stages["data"]))
    for name, title in (("rft", "Rejective sampling"), ("samples", "Judgments of the trained model")):
        if name in stages:
            yield title, list(rft_lines(stages[name]))
    for name, rows, columns in _CURVES:
        if name in stages and (table := _curve(stages[name][rows], columns)).rows:
            yield f"{name.upper()}: {rows}", list(table.markdown())
    if "meta" in stages:
        yield "Meta RM", list(_meta_lines(stages["meta"]))
    if names := [name for name in BASELINES if f"baselines-{name}" in stages]:
        yield "Baselines", list(_baselines({name: stages[f"baselines-{name}"] for name in names}).markdown())
    for name, entry in branch["bench"].items():
        yield f"Accuracy: {name}", [*_accuracy(entry).markdown(), *_changes(entry["changes"])]
    exported = [stages[name] for name in stages if name == "export" or name.startswith("gguf-")]
    if files := {name: row for found in exported for name, row in found["files"].items()}:
        yield "GGUF files", list(_export(files).markdown())


_CURVES = (
    ("sft", "log", ("step", "loss", "mean_token_accuracy", "grad_norm")),
    ("rl", "train", ("step", "accuracy", "invalid", "tied", "kl", "entropy", "completions/mean_length")),
    ("rl", "heldout", ("step", "eval_accuracy", "eval_accuracy/invalid", "eval_accuracy/tied")),
)


def _jobs_table(jobs: Sequence[Mapping[str, Any]]) -> Table:
    rows = [[job["name"], job["directory"], _number(job.get("last_session_s")) if job["done"] else "-"] for job in jobs]
    return Table(["stage", "directory", "seconds of its last session"], rows)


def _curve(log: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    """Rows of a log that have the second column, thinned out evenly; first and last stay."""
    found = [row for row in log if columns[1] in row]
    if len(found) > MOST_ROWS:
        found = [found[round(i * (len(found) - 1) / (MOST_ROWS - 1))] for i in range(MOST_ROWS)]
    shown = [name for name in columns if any(name in row for row in found)]
    return Table(
        [name.removeprefix("eval_") for name in shown], [[_number(r.get(name)) for name in shown] for r in found]
    )


def _meta_lines(report: Mapping[str, Any]) -> Iterator[str]:
    rows = [[name, _number(report["before"].get(name)), _number(after)] for name, after in report["figures"].items()]
    yield from Table(["held out", "before", "after"], rows).markdown()
    for curve in report["curves"]:
        yield from ("", *curve_lines(curve))


def _baselines(reports: Mapping[str, Mapping[str, Any]]) -> Table:
    """What each learned, and its own held-out figure before training and at the checkpoint that was kept."""
    rows = [
        [
            name,
            _number(row["train"]["pairs"]),
            _number(row["steps"]),
            row["metric"],
            _number(row["heldout_curve"][0]["value"]),
            _number(row["best"]),
        ]
        for name, row in reports.items()
    ]
    return Table(["baseline", "pairs", "steps", "held out", "before", "after"], rows)


def _export(files: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = []
    for name, row in files.items():
        check = row["check"] or {}
        agreed = "-" if not check else f"{100 * check['agreed']:.0f}% of {check['prompts']} ({check['equal']} equal)"
        rows.append([name, f"{row['bytes'] / 1e6:,.1f}", agreed, _number(check.get("largest_gap"))])
    return Table(["file", "MB", "greedy texts that agree", "largest gap, nats"], rows)


def _accuracy(entry: Mapping[str, Any]) -> Table:
    """A row per vote and k, two columns per model: the benchmark's own tie rule, and a tie counted as wrong."""
    models = [name for name in MODELS if name in entry["models"]]
    cells = {(row["vote"], row["k"], row["model"]): row for row in entry["points"]}
    votes = list(dict.fromkeys((vote, k) for vote, k, _ in cells))
    rows = [
        [
            _vote(vote, k),
            *(_percent(cells.get((vote, k, model)), rule) for model in models for rule in ("own", "strict")),
        ]
        for vote, k in votes
    ]
    return Table([f"{entry['items']:,} items", *(f"{m}{t}" for m in models for t in ("", ", ties wrong"))], rows)


def _changes(changes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for change in changes:
        figure = _interval(change["difference"], "+.1f")
        yield ""
        yield f"{change['from']} to {change['to']} at k = {change['k']}, ties wrong: {figure} points, p = {change['p_value']:.3f}"


def _ablations(branches: Mapping[str, Any]) -> Iterator[str]:
    """The last model of each branch at its largest k, plain and guided, and greedily; baselines where they are others."""
    rows: list[list[str]] = []
    shown: set[str] = set()
    for name, branch in branches.items():
        for benchmark, entry in branch["bench"].items():
            last = [model for model in CHAIN if model in entry["models"]][-1:]
            for model in [*last, *(one for one in BASELINES if one in entry["models"])]:
                row = [name, benchmark, model, *_last(entry["points"], model)]
                if model not in BASELINES or entry["models"][model] not in shown:
                    rows.append(row)
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


def _number(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
