"""From the seeds' scored items to ``results.json``: every figure of docs/lab.md with its intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from benchmarks.spct_lab.figures import (
    Estimate,
    Floats,
    auc,
    difference,
    estimate,
    holm,
    rank_correlation,
    t_interval,
)
from benchmarks.spct_lab.questions import QUESTIONS, Question, verdict
from benchmarks.spct_lab.recipe import ABLATIONS, MAIN, META_DATA, WIDER
from benchmarks.spct_lab.sums import KINDS
from benchmarks.spct_lab.variants import SHARES

MODELS = ("base", "sft", "rl")
COMPARED = {"no-principles": "rl", "no-rejection": "sft", "no-hinted": "sft", "no-sampled": "sft", "beta-0": "rl"}
"""The model in which an ablation ends; it is held against the same model of the main branch."""

Seeds = Mapping[int, Mapping[str, Any]]


def results(seeds: Seeds, juries: Sequence[Mapping[str, Sequence[float]]] = ()) -> dict[str, Any]:
    """Everything that is reported of ``seeds``: what ``collect`` gave, by seed; ``juries`` as ``variants.juries``."""
    table = _Table(_with_chosen(seeds))
    return {
        "questions": _answered(table),
        "skills": {str(seed): found["skills"] for seed, found in seeds.items()},
        "predicts": _predicts(table, seeds),
        "meta": _metas(table),
        "wider": {
            f"{name}/{row}": table.of(f"{name}/base/{row}")
            for name in (f"bench-{wider}" for wider in WIDER)
            for row in ("greedy/1", "plain/1", f"first/{table.first_k}")
            if table.seeds_with(f"{name}/base/{row}")
        },
        "adaptive": _adaptive(table),
        "juries": [_jury(found) for found in juries],
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
    """Matrices of seeds by items; of the seeds that have the row, which for most is all."""

    def __init__(self, seeds: Seeds) -> None:
        self._seeds = seeds
        self.subsets: list[str] = next(iter(seeds.values()))["subsets"]
        assert all(found["subsets"] == self.subsets for found in seeds.values())

    def has(self, name: str) -> bool:
        return len(self.seeds_with(name)) == len(self._seeds)

    def seeds_with(self, *names: str) -> list[int]:
        return [seed for seed, found in self._seeds.items() if all(name in found["scored"] for name in names)]

    def ks(self, name: str) -> list[int]:
        """The ks of a curve such as main/rl/plain."""
        rows = next(iter(self._seeds.values()))["scored"]
        found = [row.rsplit("/", 1) for row in rows]
        return sorted(int(k) for head, k in (one for one in found if len(one) == 2) if head == name and k.isdigit())

    @property
    def first_k(self) -> int:
        return self.ks(f"{MAIN}/base/first")[-1]

    def matrix(
        self, name: str, what: str = "correct", subset: str | None = None, seeds: Sequence[int] | None = None
    ) -> Floats:
        """(S, I): ``what`` of the items (of a subset)."""
        chosen = self.seeds_with(name) if seeds is None else seeds
        rows = [self._seeds[seed]["scored"][name][what] for seed in chosen]
        places = [i for i, one in enumerate(self.subsets) if subset in (None, one)]
        return np.asarray(rows, dtype=np.float64)[:, places]

    def change(self, after: str, before: str) -> Estimate:
        """After less before, of the seeds that have both."""
        seeds = self.seeds_with(after, before)
        return difference(self.matrix(after, seeds=seeds), self.matrix(before, seeds=seeds))

    def numbers(self, name: str, what: str) -> list[float]:
        """One number a seed, of those that have it."""
        found = [self._seeds[seed]["scored"][name][what] for seed in self.seeds_with(name)]
        return [value for value in found if value is not None]

    def of(self, name: str, what: str = "correct", subset: str | None = None) -> dict[str, Any]:
        return estimate(self.matrix(name, what, subset)).as_row()


def _answered(table: _Table) -> dict[str, Any]:
    """Each question whose rows are there: the difference, the p-value corrected for all that were asked, the verdict."""
    found = {}
    for name, asked in QUESTIONS.items():
        question = asked.filled(table.first_k, table.ks(f"{MAIN}/base/plain")[-1])
        if question.after != question.before and table.seeds_with(question.after, question.before):
            found[name] = (question, table.change(question.after, question.before))
    corrected = holm(
        {name: gap.p_value for name, (question, gap) in found.items() if gap.p_value is not None and not question.keeps}
    )
    return {name: _answer(question, gap, corrected.get(name)) for name, (question, gap) in found.items()}


def _answer(question: Question, gap: Estimate, corrected: float | None) -> dict[str, Any]:
    row = gap.as_row()
    return {
        "claim": question.claim,
        "ours": question.ours,
        **row,
        "corrected_p": corrected,
        "verdict": verdict(question, row, corrected),
    }


def _with_chosen(seeds: Seeds) -> Seeds:
    """The seeds with rows "main/rl/chosen/k": the share to keep that is best on all other seeds, plain votes among them."""
    shares = ("plain", *SHARES)
    rows = next(iter(seeds.values()))["scored"]
    ks = [row.rsplit("/", 1)[-1] for row in rows if row.startswith(f"{MAIN}/rl/best-12/")]
    found: dict[int, dict[str, Any]] = {}
    for seed, own in seeds.items():
        chosen = {}
        for k in ks:
            names = [f"{MAIN}/rl/{share}/{k}" for share in shares]
            others = [other["scored"] for at, other in seeds.items() if at != seed]
            if others:
                best = max(names, key=lambda name: float(np.mean([other[name]["correct"] for other in others])))
                chosen[f"{MAIN}/rl/chosen/{k}"] = {**own["scored"][best], "share": best.split("/")[2]}
        found[seed] = {**own, "scored": {**own["scored"], **chosen}}
    return found


def _predicts(table: _Table, seeds: Seeds) -> dict[str, Any]:
    """How what a base can do before RL goes with what RL gained, greedily: Spearman's correlation over the bases, and p."""
    if len(seeds) < FEWEST_BASES or not all(found["skills"] for found in seeds.values()):
        return {}
    gains = list(table.change(f"{MAIN}/rl/greedy/1", f"{MAIN}/sft/greedy/1").by_seed)
    found = {}
    for name in next(iter(seeds.values()))["skills"]:
        values = [one["skills"][name] for one in seeds.values()]
        if len(set(values)) > 1 and len(set(gains)) > 1:
            found[name] = dict(zip(("rho", "p_value"), rank_correlation(values, gains), strict=True))
    return found


FEWEST_BASES = 5
"""With fewer, no order is rare enough to mean something."""


def _metas(table: _Table) -> dict[str, Any]:
    """By meta RM: AUC within a query by seed, and what each way of using it gains on plain votes at each k."""
    found: dict[str, Any] = {}
    for meta in ("", *(f"{name}:" for name in META_DATA)):
        if not table.seeds_with(f"{MAIN}/rl/{meta}rated"):
            continue
        row: dict[str, Any] = {"auc_within": table.numbers(f"{MAIN}/rl/{meta}rated", "auc_within"), "gain": {}}
        ways = (*SHARES, "soft", *(("chosen", "oracle", "oracle-soft") if not meta else ()))
        for way in ways:
            for k in table.ks(f"{MAIN}/rl/{meta}best-12"):
                name, plain = f"{MAIN}/rl/{meta}{way}/{k}", f"{MAIN}/rl/plain/{k}"
                if table.seeds_with(name, plain):
                    row["gain"][f"{way}/{k}"] = table.change(name, plain).as_row()
        found[meta.removesuffix(":") or "all"] = row
    return found


def _adaptive(table: _Table) -> dict[str, Any]:
    """Samples an item of adaptive k, and its accuracy; {} where it was not run."""
    if not table.seeds_with("adaptive/base/samples"):
        return {}
    last = table.ks("adaptive/base/plain")[-1]
    return {
        "samples": estimate(table.matrix("adaptive/base/samples", "count")).as_row(),
        "correct": table.of(f"adaptive/base/plain/{last}"),
    }


def _jury(found: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    rows = {name: np.asarray([found[name]], dtype=np.float64) for name in ("jury", "members", "best")}
    return {
        "jury": estimate(rows["jury"]).as_row(),
        "members": estimate(rows["members"]).as_row(),
        "over_members": difference(rows["jury"], rows["members"]).as_row(),
        "over_best": difference(rows["jury"], rows["best"]).as_row(),
    }


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
    return table.change(after, before).as_row()


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
