"""Plots of scored runs, as SVG and PNG beside the report. Nothing is computed here but positions.

Colours are Okabe and Ito's, which stay apart for colour-blind readers; markers and dashes say the same again. Legends
stand outside the axes. Needs matplotlib (the extra ``bench``); no display and no global state.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from spct.bench.report import RULE_NAMES
from spct.bench.scoring.curve import CREDIT_RULES, CreditRule
from spct.bench.scoring.results import RunResult, ScoredPoint
from spct.bench.scoring.statistics import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#666666"
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "spct",
    "svg.fonttype": "none",
}
CHANCE_WITHIN = 12
"""Points below the data within which the chance line is drawn; farther off it would flatten the curves."""
MOST_BARS = 24
"""Parts drawn; ``of_all`` says so where there are more."""
_LABEL_CHARS = 34


def bench_plots(results: Sequence[RunResult], out: Path) -> dict[str, str]:
    """Draw everything that the results allow into ``out``; file names (PNG) by caption. SVG stands beside each."""
    charted = [result for result in results if result.points]
    drawn = {
        "Accuracy against k, 95% intervals over prompts": ("curve", _curve(charted)),
        "Accuracy against tokens per item": ("compute", _compute(charted)),
        "Parts of the benchmark under its own rule": ("parts", _parts(charted)),
        "Scores given by single judgments": ("scores", _scores(results)),
    }
    return {caption: save(canvas, out, name) for caption, (name, canvas) in drawn.items() if canvas is not None}


def save(canvas: Canvas, out: Path, name: str) -> str:
    """Write NAME.svg and NAME.png; the PNG's name."""
    with rc_context(STYLE):
        canvas.savefig(out / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")
        canvas.savefig(out / f"{name}.png", dpi=160, bbox_inches="tight")
    return f"{name}.png"


def short(label: str, width: int = _LABEL_CHARS) -> str:
    """A label that fits a legend: its end counts, since models of one maker begin alike."""
    return label if len(label) <= width else "…" + label[-(width - 1) :]


def _curve(results: Sequence[RunResult]) -> Canvas | None:
    if max((result.last.k for result in results), default=1) == 1:
        return None
    with rc_context(STYLE):
        if len(results) == 1:
            canvas = Canvas(figsize=(5.4, 3.6), layout="constrained")
            axes = canvas.subplots()
            for place, (rules, name) in enumerate(_merged(results[0])):
                _line(axes, results[0], rules[0], place, name)
            axes.set_title(_title(results[0]))
            panels = [axes]
        else:
            canvas = Canvas(figsize=(9.6, 3.4), layout="constrained")
            panels = list(canvas.subplots(1, len(CREDIT_RULES), sharey=True))
            for axes, rule in zip(panels, CREDIT_RULES, strict=True):
                for place, result in enumerate(results):
                    _line(axes, result, rule, place, short(result.label))
                axes.set_title(RULE_NAMES[rule])
            canvas.suptitle(results[0].benchmark["title"], fontsize=10)
        ks = sorted({point.k for result in results for point in result.points})
        for axes in panels:
            _k_axis(axes, ks)
            _chance(axes, results)
        panels[0].set_ylabel(_accuracy_label(results))
        _legend(canvas, panels[0])
        return canvas


def _merged(result: RunResult) -> list[tuple[tuple[CreditRule, ...], str]]:
    """Rules that give the same curve are one line."""
    groups: dict[tuple[float, ...], list[CreditRule]] = {}
    for rule in CREDIT_RULES:
        values = tuple(round(point.rules[rule].main.value, 9) for point in result.points)
        groups.setdefault(values, []).append(rule)
    return [(tuple(rules), " = ".join(RULE_NAMES[rule] for rule in rules)) for rules in groups.values()]


def _line(axes: Axes, result: RunResult, rule: CreditRule, place: int, name: str) -> None:
    colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
    _band(axes, [point.k for point in result.points], result.points, rule, colour, marker, name)
    if result.guided:
        ks = [point.k for point in result.guided]
        values = [100 * point.rules[rule].main.value for point in result.guided]
        axes.plot(
            ks, values, "--", color=colour, marker=marker, markersize=4, mfc="white", label=f"{name}, meta-guided"
        )
    if result.greedy is not None:
        figure = result.greedy.rules[rule].main
        x, y = 1 / 1.1 / 1.06**place, 100 * figure.value
        bar = axes.errorbar(
            [x], [y], yerr=_bars([figure]), color=colour, marker="*", markersize=9, capsize=2, mfc="white"
        )
        bar.set_label(f"{name}, greedy")


def _band(
    axes: Axes,
    xs: Sequence[float],
    points: Sequence[ScoredPoint],
    rule: CreditRule,
    colour: str,
    marker: str,
    name: str,
) -> None:
    figures = [point.rules[rule].main for point in points]
    axes.plot(xs, [100 * figure.value for figure in figures], color=colour, marker=marker, markersize=4.5, label=name)
    if all(figure.low is not None for figure in figures):
        low = [100 * (figure.low or 0) for figure in figures]
        high = [100 * (figure.high or 0) for figure in figures]
        axes.fill_between(xs, low, high, color=colour, alpha=0.13, linewidth=0)


def _compute(results: Sequence[RunResult]) -> Canvas | None:
    """Accuracy under the benchmark's own rule against what it costs, for runs that know their tokens."""
    known = [result for result in results if result.last.cost.completion_tokens > 0 and result.last.k > 1]
    if not known:
        return None
    with rc_context(STYLE):
        canvas = Canvas(figsize=(5.4, 3.6), layout="constrained")
        axes = canvas.subplots()
        for place, result in enumerate(known):
            xs = [point.cost.prompt_tokens + point.cost.completion_tokens for point in result.points]
            colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
            _band(axes, xs, result.points, "own", colour, marker, short(result.label))
            previous = 0.0
            for x, point in zip(xs, result.points, strict=True):
                if x > 1.25 * previous:
                    y = 100 * point.rules["own"].main.value
                    above = 6 if place % 2 == 0 else -12
                    axes.annotate(
                        f"k={point.k}", (x, y), (0, above), textcoords="offset points", fontsize=7, ha="center"
                    )
                    previous = x
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(LogLocator(subs="all"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_xlabel("tokens per item, prompt and completion (log scale)")
        axes.set_ylabel(f"{_accuracy_label(known)}, own rule")
        axes.set_title(_title(known[0]) if len(known) == 1 else known[0].benchmark["title"])
        _chance(axes, known)
        _legend(canvas, axes)
        return canvas


def _parts(results: Sequence[RunResult]) -> Canvas | None:
    whole = list(dict.fromkeys(name for result in results for name in _own_parts(result)))
    names = whole[:MOST_BARS]
    if len(names) < 2:
        return None
    with rc_context(STYLE):
        height = 0.9 + len(names) * (0.12 + 0.14 * len(results))
        canvas = Canvas(figsize=(5.8, height), layout="constrained")
        axes = canvas.subplots()
        thick = 0.78 / len(results)
        for place, result in enumerate(results):
            own = _own_parts(result)
            here = [(row, own[name]) for row, name in enumerate(names) if name in own]
            ys = [row + (place - (len(results) - 1) / 2) * thick for row, _ in here]
            axes.barh(ys, [100 * figure.value for _, figure in here], thick * 0.92, color=COLOURS[place % len(COLOURS)],
                      xerr=_bars([figure for _, figure in here]), error_kw={"linewidth": 0.8, "ecolor": "#333333"},
                      label=f"{short(result.label)}, k = {result.last.k}")  # fmt: skip
        axes.set_yticks(range(len(names)), [short(name) for name in names])
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlim(0, 100)
        axes.set_xlabel("accuracy, points of 100, own rule")
        axes.set_title(results[0].benchmark["title"] + of_all(names, whole, "parts", "report.md"))
        chance = results[0].data["chance"]["units"]
        if chance is not None:
            axes.axvline(100 * chance, color=GREY, linestyle=":", linewidth=1, label="chance")
        _legend(canvas, axes)
        return canvas


def of_all(shown: Sequence[str], whole: Sequence[str], what: str, where: str) -> str:
    """What a title adds where only some are drawn."""
    return "" if len(shown) == len(whole) else f"\nthe first {len(shown)} of {len(whole)} {what}; {where} has all"


def _own_parts(result: RunResult) -> Mapping[str, Figure]:
    figures = result.last.rules["own"]
    return {**figures.parts, **{f"{name} (partial)": figure for name, figure in figures.partial.items()}}


def _scores(results: Sequence[RunResult]) -> Canvas | None:
    shown = [result for result in results if result.histogram]
    if not shown:
        return None
    with rc_context(STYLE):
        canvas = Canvas(figsize=(5.4, 1.0 + 1.7 * len(shown)), layout="constrained")
        panels = canvas.subplots(len(shown), 1, squeeze=False)[:, 0]
        for place, (axes, result) in enumerate(zip(panels, shown, strict=True)):
            score_bars(axes, result.histogram, COLOURS[place % len(COLOURS)])
            axes.set_title(short(result.label, 60))
            axes.set_ylabel("share of scores, %")
        panels[-1].set_xlabel("score given to a response by a single judgment")
        return canvas


def score_bars(axes: Axes, histogram: Mapping[str, int], colour: str) -> None:
    """The shares of the scores: a bar each for whole scores, 30 bins for others."""
    total = sum(histogram.values())
    scores = [float(score) for score in histogram]
    if all(score.is_integer() for score in scores) and max(scores) - min(scores) <= 20:
        axes.bar(scores, [100 * count / total for count in histogram.values()], 0.82, color=colour)
        low, high = min(*scores, 1.0), max(*scores, 10.0) if max(scores) > 1 else 1.0
        axes.set_xticks(range(int(low), int(high) + 1))
        axes.set_xlim(low - 0.6, high + 0.6)
    else:
        weights = [100 * count / total for count in histogram.values()]
        axes.hist(scores, bins=30, weights=weights, color=colour)
    axes.grid(axis="x", visible=False)


def _k_axis(axes: Axes, ks: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    powers = [k for k in ks if k & (k - 1) == 0 or k == ks[-1]]
    shown = [k for k in powers if k == ks[-1] or k * 1.4 < ks[-1]]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    axes.set_xlabel("judgments per item, k")


def _chance(axes: Axes, results: Sequence[RunResult]) -> None:
    kind = "headline" if results[0].last.rules["own"].headline is not None else "units"
    chance = results[0].data["chance"][kind]
    if chance is None:
        return
    if 100 * chance >= axes.get_ylim()[0] - CHANCE_WITHIN:
        axes.axhline(100 * chance, color=GREY, linestyle=":", linewidth=1, label=f"chance, {100 * chance:.0f}")
    else:
        axes.plot([], [], linestyle="none", label=f"(chance, {100 * chance:.0f}, is below)")


def _accuracy_label(results: Sequence[RunResult]) -> str:
    if all(result.last.rules["own"].headline is not None for result in results):
        return "headline score" if not results[0].benchmark["linear"] else "accuracy, points of 100"
    return "accuracy over units here,\npoints of 100"


def _title(result: RunResult) -> str:
    return "\n".join(textwrap.wrap(f"{result.benchmark['title']}: {short(result.label, 60)}", 62))


def _legend(canvas: Canvas, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    columns = 1 if max(map(len, unique)) > 40 else min(3, len(unique))
    canvas.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=columns, fontsize=8)


def _bars(figures: Sequence[Figure]) -> list[list[float]]:
    """Distances from the values to their bounds; 0 where there are none."""
    low = [100 * (figure.value - figure.low) if figure.low is not None else 0.0 for figure in figures]
    high = [100 * (figure.high - figure.value) if figure.high is not None else 0.0 for figure in figures]
    return [[max(0.0, x) for x in low], [max(0.0, x) for x in high]]
