"""What the runs of a seed say of each held-out item: expected credit by branch, model, vote and k, by spct's own arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.spct_lab.recipe import ABLATION_K, GROUPS, MAIN, WIDER
from benchmarks.spct_lab.run import METAS, SKILLS, jobs_of
from benchmarks.spct_lab.sums import KINDS, ballots_by
from benchmarks.spct_lab.variants import BELOW, Voted, auc_within, escalated, oracle_votes, rated_votes, ratings_in

from spct.bench.scoring.curve import Curve, Keep, curve, default_ks
from spct.bench.scoring.stored import StoredBench, open_stored
from spct.data.output import read_json, write_json
from spct.run import RunStore
from spct.voting.accuracy import Grades, grade

GRADES = ("correct", "wrong", "tied", "invalid")
SCORED = "scored.json"
USUAL = ("plain", "first", "greedy", "guided")
MORE_KS, RARE_KS = (3, 6), (1, 2, 8, 32)


def collect(directory: Path) -> dict[str, Any]:
    """Score all runs of a seed, once for each; kept beside them.

    ``subsets`` has the test items in order; a row of ``scored``, such as "main/rl/guided/8", has for each its chances of the
    grades and ``credit`` (1/#tied for a tie). ``singles`` are the single responses, ``stages`` what training reported,
    ``skills`` what the base can do, ``auc_within`` how well each meta RM tells the judgments of a query apart.
    """
    reports = {group: read_json(directory / group / "report.json") for group in (*GROUPS, *MEASURED)}
    if reports[MAIN] is None:
        raise FileNotFoundError(f"{directory / MAIN / 'report.json'}: this seed has not been run")
    branches = {
        group if group in MEASURED else branch: (group, found)
        for group, report in reports.items()
        for branch, found in (report or {"branches": {}})["branches"].items()
        if branch != MAIN or group in (MAIN, *MEASURED)
    }
    kept = read_json(directory / SCORED) or {"runs": {}, "subsets": []}
    scored: dict[str, Any] = {}
    for branch, (group, found) in branches.items():
        for entry in found["bench"].values():
            for model, name in entry["models"].items():
                run = f"{group}/{name}"
                if run not in kept["runs"]:
                    metas = (read_json(directory / METAS) or {}) if branch == MAIN and model == "rl" else {}
                    kept["subsets"], kept["runs"][run] = _scored(directory / run, whole=branch == MAIN, metas=metas)
                    write_json(directory / SCORED, kept)
                scored |= {f"{branch}/{model}/{row}": values for row, values in kept["runs"][run].items()}
    stages = {branch: _stages(found) for branch, (group, found) in branches.items() if group in GROUPS}
    return {
        "subsets": kept["subsets"],
        "scored": scored | _escalated(directory, reports),
        "singles": dict(_singles(directory)),
        "stages": stages,
        "skills": read_json(directory / SKILLS) or {},
    }


MEASURED = ("adaptive", *(f"bench-{name}" for name in WIDER))
"""Groups that train nothing: their one branch is called as they are."""


def _scored(run: Path, *, whole: bool, metas: Mapping[str, str]) -> tuple[list[str], dict[str, Any]]:
    """The subsets of a run's items, and a row per vote and k; "first" votes over the samples that a run of fewer would have.

    ``whole`` adds the same votes over the totals of ``spct_lab.sums``, and the share of judgments whose box says something else;
    ``metas`` are further meta RMs that have rated the run, by name.
    """
    stored = open_stored(run)
    first = {id: row[:ABLATION_K] for id, row in stored.ballots.items()}
    voted: dict[str, Voted] = {"plain": (stored, None), "first": (replace(stored, ballots=first), None)}
    other: dict[str, Any] = {}
    asked = [("plain", stored, run)]
    if (run / "greedy").is_dir():
        asked.append(("greedy", open_stored(run / "greedy"), run / "greedy"))
        voted["greedy"] = (asked[-1][1], None)
    for kind, totals in KINDS.items() if whole else ():
        for vote, found, folder in asked:
            ballots, differ = ballots_by(folder, totals)
            kept = {id: ballots[id] for id in found.loaded.items}
            voted[f"{vote}-{kind}"] = (replace(found, ballots=kept), None)
            other[f"{vote}-{kind}/other"] = {"other": [differ[id] for id in found.loaded.items]}
    rated = {"": stored.ratings} if stored.ratings else {}
    for name, ratings in {**rated, **{f"{name}:": ratings_in(run, meta) for name, meta in metas.items()}}.items():
        voted |= {f"{name}{vote}": one for vote, one in rated_votes(stored, ratings).items()}
        other[f"{name}rated"] = {"auc_within": auc_within(stored, ratings)}
    if rated:
        voted |= oracle_votes(stored)
    rows = {f"{name}/{k}": values for name, one in voted.items() for k, values in _by_k(_curve(name, *one))} | other
    rows["samples"] = {
        "invalid": [sum(b.scores_N is None for b in row) / len(row) for row in stored.ballots.values()],
        "count": [len(row) for row in stored.ballots.values()],
    }
    return [unit.subset for unit in stored.loaded.units], rows


def _curve(name: str, stored: StoredBench, keep: Keep | None) -> Curve:
    """At the usual ks; those of plain votes also at what an equal price asks for, what is rarely looked at at fewer."""
    most = max(map(len, stored.ballots.values()))
    more = MORE_KS if name == "plain" else ()
    few = name in USUAL or most == 1
    ks = default_ks(most) if few else sorted({k for k in RARE_KS if k <= most} | {most})
    return curve(
        stored.benchmark, stored.loaded, stored.ballots, sorted({*ks, *(k for k in more if k < most)}), keep=keep
    )


def _by_k(found: Curve) -> Iterator[tuple[int, dict[str, list[float]]]]:
    for point in found.points:
        units = list(point.units.values())
        row = {name: [round(unit.grades[place], 6) for unit in units] for place, name in enumerate(GRADES)}
        yield point.k, row | {"credit": [round(unit.random, 6) for unit in units]}


def _escalated(directory: Path, reports: Mapping[str, Any]) -> dict[str, Any]:
    """The small base handing on to the large one, where there is one."""
    if reports.get("bench-large") is None:
        return {}
    first = open_stored(jobs_of(directory)["bench-items-base"])
    second = open_stored(jobs_of(directory, "bench-large")["bench-items-base"])
    return {f"escalated/base/{100 * BELOW:.0f}/{ABLATION_K}": escalated(first, second, ABLATION_K)}


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
