"""The plots of docs/lab.md, drawn from ``results.json`` in the style of ``spct bench``. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import nan
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from spct.bench.plots import COLOURS, MARKERS, STYLE

NAMES = {"base": "base", "sft": "after RFT", "rl": "after RL"}


def draw(found: Mapping[str, Any], out: Path) -> None:
    """Write an SVG into ``out`` for each of ``PLOTS``."""
    out.mkdir(parents=True, exist_ok=True)
    with rc_context(STYLE):
        for name, plot in PLOTS.items():
            canvas = plot(found)
            canvas.savefig(out / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")


def _questions(found: Mapping[str, Any]) -> Figure:
    """Each question's difference with its interval over bases and queries, by what it says of the claim."""
    asked = list(found["questions"].values())
    canvas = Figure(figsize=(8.2, 0.6 + 0.3 * max(1, len(asked))), layout="constrained")
    axes = canvas.subplots()
    for place, said in enumerate(("confirmed", "refuted", "open")):
        rows = [(y, row) for y, row in enumerate(asked) if row["verdict"] == said]
        axes.errorbar([100 * row["value"] for _, row in rows], [y for y, _ in rows],
                      xerr=_bars([row for _, row in rows], "both"), fmt=MARKERS[place], markersize=5,
                      color=COLOURS[place], capsize=2, label=said)  # fmt: skip
    _as_rows(axes, [row["claim"] for row in asked], "points, 95% over bases and queries")
    canvas.legend(loc="outside lower center", ncols=3, fontsize=8)
    return canvas


def _skills(found: Mapping[str, Any]) -> Figure:
    """What RL gained on each base against each measure taken before it; no panels where a base was not measured."""
    gains = [100 * gain for gain in found["changes"]["sft to rl"]["greedy/1"]["by_seed"]]
    skills = list(found["skills"].values())
    names = list(skills[0]) if all(skills) and len(skills) == len(gains) else []
    columns, rows = 4, max(1, -(-len(names) // 4))
    canvas = Figure(figsize=(8.2, 2.0 * rows), layout="constrained")
    panels = list(canvas.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for name, axes in zip(names, panels, strict=False):
        axes.plot([100 * of[name] for of in skills], gains, MARKERS[0], color=COLOURS[0], markersize=4)
        said = found["predicts"].get(name)
        axes.set_title(name if said is None else f"{name}: {said['rho']:+.2f}", fontsize=8)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    canvas.supxlabel("before RL, percent; above each its rank correlation with the gain", fontsize=8)
    canvas.supylabel("gain of RL, greedily, points", fontsize=8)
    return canvas


def _meta(found: Mapping[str, Any]) -> Figure:
    """What the meta RM gains on plain votes at each k, by its use; and what it would gain if it knew the truth."""
    canvas = Figure(figsize=(5.4, 3.4), layout="constrained")
    axes = canvas.subplots()
    gain = found["meta"].get("all", {"gain": {}})["gain"]
    for place, (way, label) in enumerate(META_WAYS.items()):
        ks = sorted(int(name.partition("/")[2]) for name in gain if name.partition("/")[0] == way)
        rows = [gain[f"{way}/{k}"] for k in ks]
        axes.errorbar([k * 1.06 ** (place - 1.5) for k in ks], [100 * row["value"] for row in rows],
                      yerr=_bars(rows, "both"), color=COLOURS[place], marker=MARKERS[place], markersize=4.5, capsize=2,
                      label=label)  # fmt: skip
    axes.axhline(0, color="#666666", linewidth=1)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(sorted({int(name.partition("/")[2]) for name in gain}) or [1]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    axes.set_xlabel("judgments per query, k")
    axes.set_ylabel("points over plain votes")
    canvas.legend(loc="outside lower center", ncols=2, fontsize=8)
    return canvas


def _stages(found: Mapping[str, Any]) -> Figure:
    canvas = Figure(figsize=(5.4, 3.2), layout="constrained")
    axes = canvas.subplots()
    for place, (vote, label) in enumerate((("greedy/1", "greedy"), ("plain/1", "one judgment, T = 0.5"))):
        rows = [found["stages"][model][vote]["correct"] for model in NAMES]
        xs = [i + (place - 0.5) * 0.3 for i in range(len(NAMES))]
        axes.bar(xs, [100 * row["value"] for row in rows], 0.28, yerr=_bars(rows), color=COLOURS[place], label=label,
                 error_kw={"linewidth": 0.9})  # fmt: skip
        for x, row in zip(xs, rows, strict=True):
            axes.plot([x] * len(row["by_seed"]), [100 * one for one in row["by_seed"]], "k.", markersize=4)
    axes.set_xticks(range(len(NAMES)), list(NAMES.values()))
    axes.set_ylabel("accuracy, a tie is wrong, points of 100")
    axes.grid(axis="x", visible=False)
    axes.set_title("Held-out queries, n = 2 to 4; dots are seeds")
    canvas.legend(loc="outside lower center", ncols=2, fontsize=8)
    return canvas


def _voting(found: Mapping[str, Any]) -> Figure:
    canvas = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = canvas.subplots()
    curves = {NAMES[model]: found["voting"][model] for model in NAMES} | {"after RL, meta-guided": found["guided"]}
    for place, (name, rows) in enumerate(curves.items()):
        ks = [int(k) for k in rows]
        style = "--" if "guided" in name else "-"
        values = [row["correct"] for row in rows.values()]
        axes.plot(ks, [100 * one["value"] for one in values], style, color=COLOURS[place], marker=MARKERS[place],
                  markersize=4.5, label=name)  # fmt: skip
        bounds = [one["items"] or (nan, nan) for one in values]  # a figure without an interval leaves a gap
        axes.fill_between(ks, *([100 * one[end] for one in bounds] for end in (0, 1)),
                          color=COLOURS[place], alpha=0.12, linewidth=0)  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator([int(k) for k in found["voting"]["base"]]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    axes.set_xlabel("judgments per query, k")
    axes.set_ylabel("accuracy, a tie is wrong, points of 100")
    canvas.legend(loc="outside lower center", ncols=2, fontsize=8)
    return canvas


def _ablations(found: Mapping[str, Any]) -> Figure:
    canvas = Figure(figsize=(5.4, 2.8), layout="constrained")
    axes = canvas.subplots()
    names = list(found["ablations"])
    for place, (label, pick) in enumerate((("greedy", 0), ("largest vote", -1))):
        rows = []
        for name in names:
            entry = found["ablations"][name]
            votes = list(entry["against"][entry["model"]].values())
            rows.append(votes[pick]["difference"])
        ys = [i + (place - 0.5) * 0.3 for i in range(len(names))]
        axes.errorbar([100 * row["value"] for row in rows], ys, xerr=_bars(rows), fmt=MARKERS[place], markersize=5,
                      color=COLOURS[place], capsize=2, label=label)  # fmt: skip
    _as_rows(axes, names, "points against the main branch, 95% over queries")
    canvas.legend(loc="outside lower center", ncols=2, fontsize=8)
    return canvas


def _rl(found: Mapping[str, Any]) -> Figure:
    """Accuracy of the rollouts and KL by step, each seed a thin line."""
    canvas = Figure(figsize=(7.2, 2.8), layout="constrained")
    panels = canvas.subplots(1, 2)
    for place, branch in enumerate(("main", "beta-0")):
        for stages in found["training"].values():
            if "rl" in stages.get(branch, {}):
                for axes, what in zip(panels, ("accuracy", "kl"), strict=True):
                    _line(axes, stages[branch]["rl"]["train"], what, COLOURS[place], MARKERS[place])
    for axes, title in zip(panels, ("accuracy of the rollouts", "KL to the start, nats a token"), strict=True):
        axes.set_title(title)
        axes.set_xlabel("step")
    for place, label in enumerate(("beta 0.08", "beta 0 (KL is not computed)")):
        panels[0].plot([], [], color=COLOURS[place], marker=MARKERS[place], markersize=3, label=label)
    canvas.legend(loc="outside lower center", ncols=2, fontsize=8)
    return canvas


def _as_rows(axes: Axes, names: list[str], points: str) -> None:
    """One named row below the other, along an axis of ``points`` with its zero marked."""
    axes.axvline(0, color="#666666", linewidth=1)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(points)


def _line(axes: Axes, rows: list[Mapping[str, float]], what: str, colour: str, marker: str) -> None:
    known = [(row["step"], row[what]) for row in rows if what in row]
    if known:
        axes.plot(*zip(*known, strict=True), color=colour, marker=marker, markersize=3, linewidth=0.8)


def _bars(rows: list[Mapping[str, Any]], over: str = "items") -> list[list[float]]:
    """Lengths below and above each figure of its interval over queries, or ``both``: over bases and queries."""
    low = [100 * (row["value"] - row[over][0]) if row[over] else 0.0 for row in rows]
    high = [100 * (row[over][1] - row["value"]) if row[over] else 0.0 for row in rows]
    return [[max(0.0, one) for one in low], [max(0.0, one) for one in high]]


META_WAYS = {
    "guided": "the better half",
    "chosen": "the share best on the other bases",
    "soft": "votes weighed by the rating",
    "oracle": "the better half, by the ground truth",
}
PLOTS: Mapping[str, Callable[[Mapping[str, Any]], Figure]] = {
    "questions": _questions,
    "stages": _stages,
    "voting": _voting,
    "skills": _skills,
    "meta": _meta,
    "ablations": _ablations,
    "rl": _rl,
}
