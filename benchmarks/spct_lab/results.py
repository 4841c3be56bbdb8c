"""From the seeds' scored items to ``results.json``: every figure of docs/lab.md with its intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from benchmarks.spct_lab.figures import Estimate, Floats, auc, difference, estimate, t_interval
from benchmarks.spct_lab.recipe import ABLATIONS, MAIN
from benchmarks.spct_lab.sums import KINDS

MODELS = ("base", "sft", "rl")
COMPARED = {"no-principles": "rl", "no-rejection": "sft", "no-hinted": "sft", "no-sampled": "sft", "beta-0": "rl"}
"""The model in which an ablation ends; it is held against the same model of the main branch."""

Seeds = Mapping[int, Mapping[str, Any]]


def results(seeds: Seeds) -> dict[str, Any]:
    """Everything that is reported of ``seeds``: what ``collect`` gave, by seed."""
    table = _Table(seeds)
    return {
        "seeds": list(seeds),
        "items": len(table.subsets),
        "singles": len(next(iter(seeds.values()))["singles"]["base/greedy"]["labels"]),
        "stages": {model: _model(table, model) for model in MODELS},
        "changes": {
            f"{before} to {after}": {f"{vote}": _change(table, f"{MAIN}/{after}/{vote}", f"{MAIN}/{before}/{vote}")
                                     for vote in ("greedy/1", "plain/1", *_largest(table))}
            for before, after in (("base", "sft"), ("sft", "rl"), ("base", "rl"))
        },
        "voting": {model: _curve(table, f"{MAIN}/{model}/plain") for model in MODELS},
        "guided": _guided(table),
        "sums": {model: _sums(table, model) for model in MODELS},
        "ablations": {name: _ablation(table, name) for name in ABLATIONS if table.has(f"{name}/base/greedy/1")},
        "singles_by_model": {model: _singles(seeds, model) for model in MODELS},
        "training": {str(seed): found["stages"] for seed, found in seeds.items()},
    }  # fmt: skip


class _Table:
    """Matrices of seeds by items."""

    def __init__(self, seeds: Seeds) -> None:
        self._seeds = seeds
        self.subsets: list[str] = next(iter(seeds.values()))["subsets"]
        assert all(found["subsets"] == self.subsets for found in seeds.values())

    def has(self, name: str) -> bool:
        return all(name in found["scored"] for found in self._seeds.values())

    def ks(self, name: str) -> list[int]:
        """The ks of a curve such as main/rl/plain."""
        rows = next(iter(self._seeds.values()))["scored"]
        return sorted(int(row.rsplit("/", 1)[1]) for row in rows if row.rsplit("/", 1)[0] == name)

    def matrix(self, name: str, what: str = "correct", subset: str | None = None) -> Floats:
        """(S, I): ``what`` of the items (of a subset)."""
        rows = [found["scored"][name][what] for found in self._seeds.values()]
        places = [i for i, one in enumerate(self.subsets) if subset in (None, one)]
        return np.asarray(rows, dtype=np.float64)[:, places]

    def of(self, name: str, what: str = "correct", subset: str | None = None) -> dict[str, Any]:
        return estimate(self.matrix(name, what, subset)).as_row()


def _largest(table: _Table) -> list[str]:
    return [f"plain/{table.ks(f'{MAIN}/base/plain')[-1]}"]


def _model(table: _Table, model: str) -> dict[str, Any]:
    """Greedy and single sampled judgments of a model of the main branch, whole and by n."""
    row: dict[str, Any] = {}
    for vote in ("greedy/1", "plain/1"):
        name = f"{MAIN}/{model}/{vote}"
        row[vote] = {what: table.of(name, what) for what in ("correct", "credit", "tied", "invalid")}
        row[vote]["by_n"] = {subset: table.of(name, subset=subset) for subset in sorted(set(table.subsets))}
    return row


def _curve(table: _Table, name: str) -> dict[str, Any]:
    return {
        str(k): {what: table.of(f"{name}/{k}", what) for what in ("correct", "credit", "tied")} for k in table.ks(name)
    }


def _guided(table: _Table) -> dict[str, Any]:
    """The guided vote of the RL model, and what it gains on the plain one at each k."""
    name = f"{MAIN}/rl"
    return {
        str(k): {
            "correct": table.of(f"{name}/guided/{k}"),
            "credit": table.of(f"{name}/guided/{k}", "credit"),
            "gain": _change(table, f"{name}/guided/{k}", f"{name}/plain/{k}"),
        }
        for k in table.ks(f"{name}/guided")
    }


def _sums(table: _Table, model: str) -> dict[str, Any]:
    """By kind of total and vote: the model's own sums, those worked out here, how they differ, and how often the box did."""
    largest = table.ks(f"{MAIN}/{model}/plain")[-1]
    found: dict[str, Any] = {}
    for kind in KINDS:
        found[kind] = {}
        for vote, k in (("greedy", 1), ("plain", 1), ("plain", largest)):
            own, computed = f"{MAIN}/{model}/{vote}/{k}", f"{MAIN}/{model}/{vote}-{kind}/{k}"
            found[kind][f"{vote}/{k}"] = {
                "own": {what: table.of(own, what) for what in ("correct", "invalid")},
                "computed": {what: table.of(computed, what) for what in ("correct", "invalid")},
                "difference": _change(table, computed, own),
                "other": table.of(f"{MAIN}/{model}/{vote}-{kind}/other", "other"),
            }
    return found


def _change(table: _Table, after: str, before: str) -> dict[str, Any]:
    return difference(table.matrix(after), table.matrix(before)).as_row()


def _ablation(table: _Table, name: str) -> dict[str, Any]:
    """An ablation's model, and its difference to the main branch's of the same stage, greedily and by each vote."""
    row: dict[str, Any] = {"model": COMPARED[name], "against": {}}
    models = [model for model in ("sft", COMPARED[name]) if table.has(f"{name}/{model}/greedy/1")]
    for model in dict.fromkeys(models):
        votes = ["greedy/1", *(f"plain/{k}" for k in table.ks(f"{name}/{model}/plain"))]
        row["against"][model] = {
            vote: {
                "correct": table.of(f"{name}/{model}/{vote}"),
                "tied": table.of(f"{name}/{model}/{vote}", "tied"),
                "invalid": table.of(f"{name}/{model}/{vote}", "invalid"),
                "difference": _change(table, f"{name}/{model}/{vote}", _like(table, model, vote)),
            }
            for vote in votes
        }
    return row


def _like(table: _Table, model: str, vote: str) -> str:
    """The main branch's votes over as many samples as the ablations have, of the same seeds: not over all that it has."""
    first = f"{MAIN}/{model}/{vote.replace('plain', 'first')}"
    return first if table.has(first) else f"{MAIN}/{model}/{vote}"


def _singles(seeds: Seeds, model: str) -> dict[str, Any]:
    """Single responses: accuracy of a judgment, ROC-AUC of the vote's mean score, and by seed how many had none."""
    found = [one["singles"] for one in seeds.values()]
    row: dict[str, Any] = {}
    for vote in ("greedy", "vote"):
        rows = [one[f"{model}/{vote}"] for one in found]
        row[vote] = {name: _over_seeds([one[name] for one in rows]) for name in ("accuracy", "invalid")}
        row[vote]["auc"] = _over_seeds([auc(one["means"], one["labels"]) for one in rows])
        row[vote]["unscored"] = [one["means"].count(None) for one in rows]
    return row


def _over_seeds(values: Sequence[float]) -> dict[str, Any]:
    found = Estimate(float(np.mean(values)), tuple(values), None, t_interval(values))
    return found.as_row()
