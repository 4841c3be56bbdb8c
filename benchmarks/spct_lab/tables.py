"""The tables of docs/lab.md as Markdown, from ``results.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Any

from benchmarks.spct_lab.plots import NAMES
from benchmarks.spct_lab.recipe import ABLATIONS

from spct.bench.report import Table


def table_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """All tables that have rows, each under its heading."""
    for title, table in (
        ("Questions", _questions(found)),
        ("Stages", _stages(found)),
        ("By number of responses, greedy", _by_n(found)),
        ("Change from stage to stage", _changes(found)),
        ("Voting", _voting(found)),
        ("Meta-guided voting of the model after RL", _guided(found)),
        ("What a meta RM gains, by its data and its use", _metas(found)),
        ("Sums of the model's own against sums worked out here", _sums(found)),
        ("Ablations", _ablations(found)),
        ("Bases of more weights", _wider(found)),
        ("Adaptive k", _adaptive(found)),
        ("Juries of three bases", _juries(found)),
        ("What the bases can do before RL, and what RL gained", _skills(found)),
        ("Single responses", _singles(found)),
        ("What RFT kept", _rft(found)),
        ("RL", _rl(found)),
        ("Meta RM on its held-out judgments", _meta(found)),
    ):
        if table.rows:
            yield from ("", f"### {title}", "", *table.markdown())


def interval(row: Mapping[str, Any], form: str = ".1f", which: str = "items") -> str:
    """A figure in points with an interval; "-" for none."""
    value = f"{100 * row['value']:{form}}"
    bounds = row[which]
    return value if bounds is None else f"{value} [{100 * bounds[0]:{form}}, {100 * bounds[1]:{form}}]"


def _seeds(row: Mapping[str, Any], form: str = ".1f") -> str:
    return ", ".join(f"{100 * one:{form}}" for one in row["by_seed"])


def _t(row: Mapping[str, Any], form: str = ".1f") -> str:
    return "-" if row["seeds"] is None else f"[{100 * row['seeds'][0]:{form}}, {100 * row['seeds'][1]:{form}}]"


def _share(row: Mapping[str, Any]) -> str:
    return f"{100 * row['value']:.1f}"


def _questions(found: Mapping[str, Any]) -> Table:
    rows = [
        [row["claim"], "ours" if row["ours"] else "the paper's", interval(row, "+.1f", "both"),
         interval(row, "+.1f").partition(" ")[2] or "-", _seeds(row, "+.1f"),
         "-" if row["corrected_p"] is None else f"{row['corrected_p']:.4f}", row["verdict"]]
        for row in found["questions"].values()
    ]  # fmt: skip
    heads = ["claim", "whose", "points [bases and queries]", "[queries]", "by base", "p, corrected", "verdict"]
    return Table(heads, rows)


def _metas(found: Mapping[str, Any]) -> Table:
    rows = []
    for meta, entry in found["meta"].items():
        within = f"{fmean(entry['auc_within']):.3f}" if entry["auc_within"] else "-"
        for way, row in entry["gain"].items():
            name, k = way.split("/")
            rows.append([meta, within, name, k, interval(row, "+.1f", "both"), _seeds(row, "+.1f")])
    heads = ["learned from", "AUC within a query", "votes", "k", "gain on plain [bases and queries]", "by base"]
    return Table(heads, rows)


def _wider(found: Mapping[str, Any]) -> Table:
    rows = [
        [name.split("/")[0].removeprefix("bench-"), _vote("/".join(name.split("/")[1:])), interval(row, which="both"),
         _seeds(row)]
        for name, row in found["wider"].items()
    ]  # fmt: skip
    return Table(["base", "judged", "strict [bases and queries]", "by base"], rows)


def _adaptive(found: Mapping[str, Any]) -> Table:
    row = found["adaptive"]
    rows = [] if not row else [
        [f"{row['samples']['value']:.2f}", ", ".join(f"{one:.2f}" for one in row["samples"]["by_seed"]),
         interval(row["correct"], which="both")]
    ]  # fmt: skip
    return Table(["judgments an item", "by base", "strict [bases and queries]"], rows)


def _juries(found: Mapping[str, Any]) -> Table:
    rows = [
        [str(place), interval(row["jury"]), interval(row["members"]), interval(row["over_members"], "+.1f"),
         interval(row["over_best"], "+.1f")]
        for place, row in enumerate(found["juries"], 1)
    ]  # fmt: skip
    heads = [
        "jury",
        "strict [queries]",
        "its members alone, as many judgments each",
        "over their mean",
        "over the best of them",
    ]
    return Table(heads, rows)


def _skills(found: Mapping[str, Any]) -> Table:
    """A row a measure: its value on each base, and how it goes with what RL gained there."""
    seeds = list(found["skills"])
    names = list(found["skills"][seeds[0]]) if seeds else []
    rows = []
    for name in names:
        said = found["predicts"].get(name)
        values = ", ".join(f"{100 * found['skills'][seed][name]:.0f}" for seed in seeds)
        rows.append(
            [name, values, *(["-", "-"] if said is None else [f"{said['rho']:+.2f}", f"{said['p_value']:.3f}"])]
        )
    return Table(["measure", "by base, percent", "rank correlation with the gain", "p"], rows)


def _stages(found: Mapping[str, Any]) -> Table:
    rows = []
    for model, name in NAMES.items():
        for vote, label in (("greedy/1", "greedy"), ("plain/1", "voting@1")):
            one = found["stages"][model][vote]
            rows.append([name, label, interval(one["correct"]), _seeds(one["correct"]), _t(one["correct"]),
                         *(_share(one[key]) for key in ("credit", "tied", "invalid"))])  # fmt: skip
    heads = ["model", "judged", "strict [queries]", "seeds", "[seeds]", "1/#tied", "tied", "invalid"]
    return Table(heads, rows)


def _by_n(found: Mapping[str, Any]) -> Table:
    subsets = list(found["stages"]["base"]["greedy/1"]["by_n"])
    rows = [
        [name, *(interval(found["stages"][model]["greedy/1"]["by_n"][subset]) for subset in subsets)]
        for model, name in NAMES.items()
    ]
    return Table(["model", *subsets], rows)


def _changes(found: Mapping[str, Any]) -> Table:
    rows = []
    for change, votes in found["changes"].items():
        for vote, row in votes.items():
            rows.append([change, _vote(vote), interval(row, "+.1f"), _seeds(row, "+.1f"), _t(row, "+.1f"), _p(row)])
    return Table(["change", "judged", "points [queries]", "seeds", "[seeds]", "p"], rows)


def _voting(found: Mapping[str, Any]) -> Table:
    ks = list(found["voting"]["base"])
    rows = [
        [k, *(interval(found["voting"][model][k]["correct"]) for model in NAMES),
         *(_share(found["voting"][model][k]["credit"]) for model in NAMES)]
        for k in ks
    ]  # fmt: skip
    return Table(["k", *NAMES.values(), *(f"{name}, 1/#tied" for name in NAMES.values())], rows)


def _guided(found: Mapping[str, Any]) -> Table:
    rows = [
        [k, interval(found["voting"]["rl"][k]["correct"]), interval(row["correct"]), interval(row["gain"], "+.1f"),
         _seeds(row["gain"], "+.1f"), _p(row["gain"])]
        for k, row in found["guided"].items()
    ]  # fmt: skip
    return Table(["k", "plain", "guided (best half)", "gain [queries]", "seeds", "p"], rows)


def _sums(found: Mapping[str, Any]) -> Table:
    rows = []
    for model, name in NAMES.items():
        for kind, votes in found["sums"][model].items():
            for vote, row in votes.items():
                own, computed, gap = row["own"], row["computed"], row["difference"]
                rows.append([name, kind, _vote(vote), interval(own["correct"]), interval(computed["correct"]),
                             interval(gap, "+.1f"), _seeds(gap, "+.1f"), _p(gap), _share(own["invalid"]),
                             _share(computed["invalid"]), _share(row["other"])])  # fmt: skip
    heads = ["model", "worked out", "judged", "the model's sums", "sums worked out", "difference [queries]", "seeds", "p",
             "invalid", "invalid, worked out", "boxes that differ"]  # fmt: skip
    return Table(heads, rows)


def _ablations(found: Mapping[str, Any]) -> Table:
    rows = []
    for name, entry in found["ablations"].items():
        for model, votes in entry["against"].items():
            for vote in (next(iter(votes)), list(votes)[-1]):
                row = votes[vote]
                gap = row["difference"]
                rows.append([name, NAMES[model], _vote(vote), interval(row["correct"]), interval(gap, "+.1f"),
                             _seeds(gap, "+.1f"), _p(gap), _share(row["tied"]), _share(row["invalid"])])  # fmt: skip
    heads = ["ablation", "model", "judged", "strict", "against main [queries]", "seeds", "p", "tied", "invalid"]
    return Table(heads, rows)


def _singles(found: Mapping[str, Any]) -> Table:
    rows = [
        [name, *(f"{_share(row[vote]['accuracy'])} {_t(row[vote]['accuracy'])}" for vote in ("greedy", "vote")),
         f"{row['vote']['auc']['value']:.3f}", _share(row["vote"]["invalid"])]
        for model, name in NAMES.items() for row in [found["singles_by_model"][model]]
    ]  # fmt: skip
    return Table(
        ["model", "greedy [seeds]", "single judgments, T = 0.5 [seeds]", "ROC-AUC of the vote", "invalid"], rows
    )


def _rft(found: Mapping[str, Any]) -> Table:
    fates = ("kept", "wrong", "tied", "invalid", "too_easy")
    rows = []
    for seed, stages in found["training"].items():
        for branch in ("main", "no-principles"):
            if "rft" in stages.get(branch, {}):
                sources = stages[branch]["rft"]["sources"].values()
                plain = [sum(row["plain"][fate] for row in sources) for fate in fates]
                told = [sum(row["hinted"][fate] for row in sources) for fate in fates[:-1]]
                rows.append([seed, branch, *map(str, plain), f"{told[0]} of {sum(told)}"])
    return Table(["seed", "branch", *(fate.replace("_", " ") for fate in fates), "hinted, kept"], rows)


def _rl(found: Mapping[str, Any]) -> Table:
    rows = []
    for seed, stages in found["training"].items():
        for branch in ("main", *ABLATIONS):
            if "rl" in stages.get(branch, {}):
                rl = stages[branch]["rl"]
                first, last = rl["train"][0], rl["train"][-1]
                cells = [f"{100 * row[key]:.1f}" for row in (first, last) for key in ("accuracy", "invalid")]
                curve = " ".join(f"{100 * row['accuracy']:.1f}" for row in rl["heldout"])
                kl = f"{last['kl']:.3f}" if "kl" in last else "-"
                rows.append([seed, branch, *cells, kl, f"{last['entropy']:.3f}", curve, str(rl["best_step"])])
    heads = ["seed", "branch", "rollouts right, first", "invalid", "right, last", "invalid", "KL", "entropy",
             "development, by checkpoint", "kept step"]  # fmt: skip
    return Table(heads, rows)


def _meta(found: Mapping[str, Any]) -> Table:
    rows = [
        [seed, *(f"{stages['main']['meta']['figures'][key]:.3f}" for key in ("auc", "auc_within", "brier", "ece"))]
        for seed, stages in found["training"].items()
        if "meta" in stages["main"]
    ]
    return Table(["seed", "AUC", "AUC within a query", "Brier", "calibration error"], rows)


def _vote(name: str) -> str:
    kind, k = name.split("/")
    return "greedy" if kind == "greedy" else f"voting@{k}"


def _p(row: Mapping[str, Any]) -> str:
    return f"{row['p_value']:.4f}" if "p_value" in row else "-"
