"""What the runs of a seed say of each held-out item: expected credit by branch, model, vote and k, by spct's own arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.spct_lab.recipe import ABLATION_K, GROUPS, MAIN
from benchmarks.spct_lab.sums import KINDS, ballots_by

from spct.bench.scoring.curve import Curve, Keep, curve, guided_by
from spct.bench.scoring.stored import StoredBench, open_stored
from spct.data.output import read_json, write_json
from spct.run import RunStore
from spct.voting.accuracy import Grades, grade

GRADES = ("correct", "wrong", "tied", "invalid")
SCORED = "scored.json"


def collect(directory: Path) -> dict[str, Any]:
    """Score all runs of a seed, once for each; kept beside them.

    ``subsets`` has the test items in order; a row of ``scored``, such as "main/rl/guided/8", has for each its chances of the
    grades and ``credit`` (1/#tied for a tie). ``singles`` are the single responses, ``stages`` what training reported.
    """
    reports = {group: read_json(directory / group / "report.json") for group in GROUPS}
    if reports[MAIN] is None:
        raise FileNotFoundError(f"{directory / MAIN / 'report.json'}: this seed has not been run")
    branches = {
        branch: (group, found)
        for group, report in reports.items()
        for branch, found in (report or {"branches": {}})["branches"].items()
        if branch != MAIN or group == MAIN
    }
    kept = read_json(directory / SCORED) or {"runs": {}, "subsets": []}
    scored: dict[str, Any] = {}
    for branch, (group, found) in branches.items():
        for entry in found["bench"].values():
            for model, name in entry["models"].items():
                if name not in kept["runs"]:
                    kept["subsets"], kept["runs"][name] = _scored(directory / group / name, sums=branch == MAIN)
                    write_json(directory / SCORED, kept)
                scored |= {f"{branch}/{model}/{row}": values for row, values in kept["runs"][name].items()}
    stages = {branch: _stages(found) for branch, (_, found) in branches.items()}
    return {"subsets": kept["subsets"], "scored": scored, "singles": dict(_singles(directory)), "stages": stages}


def _scored(run: Path, *, sums: bool) -> tuple[list[str], dict[str, Any]]:
    """The subsets of a run's items, and a row per vote and k; "first" votes over the samples that a run of fewer would have.

    ``sums`` adds the same votes over the totals of ``spct_lab.sums``, and the share of judgments whose box says something else.
    """
    stored, greedy = open_stored(run), open_stored(run / "greedy")
    first = {id: row[:ABLATION_K] for id, row in stored.ballots.items()}
    found = {
        "greedy": _curve(greedy),
        "plain": _curve(stored),
        "first": _curve(replace(stored, ballots=first)),
    }
    if stored.ratings:
        found["guided"] = _curve(stored, guided_by(stored.ratings))
    other: dict[str, Any] = {}
    for kind, totals in KINDS.items() if sums else ():
        for vote, asked, folder in (("greedy", greedy, run / "greedy"), ("plain", stored, run)):
            ballots, differ = ballots_by(folder, totals)
            found[f"{vote}-{kind}"] = _curve(replace(asked, ballots={id: ballots[id] for id in asked.loaded.items}))
            other[f"{vote}-{kind}/other"] = {"other": [differ[id] for id in asked.loaded.items]}
    rows = {f"{vote}/{k}": values for vote, one in found.items() for k, values in _by_k(one)} | other
    rows["samples"] = {"invalid": [sum(b.scores_N is None for b in row) / len(row) for row in stored.ballots.values()]}
    return [unit.subset for unit in stored.loaded.units], rows


def _curve(stored: StoredBench, keep: Keep | None = None) -> Curve:
    return curve(stored.benchmark, stored.loaded, stored.ballots, keep=keep)


def _by_k(found: Curve) -> Iterator[tuple[int, dict[str, list[float]]]]:
    for point in found.points:
        units = list(point.units.values())
        row = {name: [round(unit.grades[place], 6) for unit in units] for place, name in enumerate(GRADES)}
        yield point.k, row | {"credit": [round(unit.random, 6) for unit in units]}


def _singles(directory: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of each model: grades of single judgments; for a vote's ROC-AUC labels and mean scores, None without a valid one."""
    for place in sorted((directory / "singles").glob("*/*")):
        with closing(RunStore.open(place)) as store:
            total, means, labels = Grades(), [], []
            for position, item in store.items():
                assert item.rewards_N is not None
                scores = [judgment.scores for judgment in store.history(position)]
                for one in scores:
                    total += Grades(**{str(grade(one, item)): 1.0})
                valid = [one[0] for one in scores if one is not None]
                means.append(round(sum(valid) / len(valid), 6) if valid else None)
                labels.append(int(item.rewards_N[0]))
        yield (
            f"{place.parent.name}/{place.name}",
            {
                "accuracy": round(total.strict, 6),
                "invalid": round(total.invalid / total.count, 6),
                "means": means,
                "labels": labels,
            },
        )


def _stages(branch: Mapping[str, Any]) -> dict[str, Any]:
    """What each stage says of itself, in short: data, curves, seconds."""
    found = branch["stages"]
    row: dict[str, Any] = {
        "seconds": {job["name"]: job["last_session_s"] for job in branch["jobs"] if "last_session_s" in job}
    }
    for name in ("rft", "samples"):
        if name in found:
            row[name] = {"trajectories": found[name]["trajectories"], "sources": found[name]["sources"]}
    if "sft" in found:
        row["sft"] = {"data": found["sft"]["data"], "steps": found["sft"]["steps"]}
    if "rl" in found:
        names = ("step", "accuracy", "invalid", "tied", "kl", "entropy", "frac_reward_zero_std")
        rl = found["rl"]
        row["rl"] = {
            "steps": rl["steps"],
            "best_step": rl["best_step"],
            "train": [{key: one[key] for key in names if key in one} for one in rl["train"]],
            "heldout": [{"step": one["step"], "accuracy": one["eval_accuracy"]} for one in rl["heldout"]],
        }
    if "meta" in found:
        row["meta"] = {"figures": found["meta"]["figures"], "steps": found["meta"]["best_step"]}
    return row
