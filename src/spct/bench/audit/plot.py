"""The figure of an audit: differences with their intervals, accuracy by domain, use of the scale."""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from spct.bench.audit.audit import Audit
from spct.bench.audit.evidence import Finding
from spct.bench.plots import COLOURS, GREY, MOST_BARS, STYLE, of_all, save, score_bars, short

NAME = "audit"


def audit_plot(found: Audit, out: Path, name: str = NAME) -> str:
    """Draw one audit into ``out`` as NAME.svg and NAME.png; the PNG's name."""
    leanings = [finding for finding in found.findings if finding.unit == "points" or finding.unit == "correlation"]
    domains: dict[str, float] = next((f.detail["accuracy"] for f in found.findings if "accuracy" in f.detail), {})
    histogram: dict[str, int] = next((f.detail["histogram"] for f in found.findings if f.detail.get("histogram")), {})
    with rc_context(STYLE):
        tops, bottoms = 0.8 + 0.42 * len(leanings), max(2.2, 0.8 + 0.24 * min(MOST_BARS, len(domains)))
        canvas = Canvas(figsize=(8.4, tops + bottoms), layout="constrained")
        grid = canvas.add_gridspec(2, 2, height_ratios=[tops, bottoms])
        _leanings(canvas.add_subplot(grid[0, :]), leanings)
        _domains(canvas.add_subplot(grid[1, 0]), domains)
        _histogram(canvas.add_subplot(grid[1, 1]), histogram)
        canvas.suptitle(f"Audit of {short(found.label, 50)} on {found.benchmark}", fontsize=11)
        return save(canvas, out, name)


def _leanings(axes: Axes, leanings: list[Finding]) -> None:
    """Signed figures around zero: points of accuracy, correlations times 100 to stand on the same axis."""
    names = []
    for row, finding in enumerate(leanings):
        names.append(finding.name + (" (x 100)" if finding.unit == "correlation" else ""))
        figure = finding.figure
        if figure is None:
            axes.text(0, row, "not measurable here", color=GREY, fontsize=8, ha="center", va="center",
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})  # fmt: skip
            continue
        low, high = (figure.value if bound is None else bound for bound in (figure.low, figure.high))
        clear = figure.low is not None and (low > 0 or high < 0)
        axes.errorbar([100 * figure.value], [row], xerr=[[100 * (figure.value - low)], [100 * (high - figure.value)]],
                      color=COLOURS[1] if clear else COLOURS[0], marker="o", capsize=3)  # fmt: skip
    axes.axvline(0, color=GREY, linewidth=1)
    reach = max([10.0, *(abs(bound) for bound in axes.get_xlim())])
    axes.set_xlim(-reach, reach)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("points of 100, 95% intervals over prompts (orange: clear of zero)")
    axes.set_title("Leanings")


def _domains(axes: Axes, domains: dict[str, float]) -> None:
    names = list(domains)[:MOST_BARS]
    axes.set_title("Accuracy by domain (1/#tied)" + of_all(names, list(domains), "domains", "audit.json"))
    if not domains:
        _nothing(axes)
        return
    axes.barh(range(len(names)), [100 * domains[name] for name in names], 0.7, color=COLOURS[0])
    axes.set_yticks(range(len(names)), [short(name, 26) for name in names])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 100)
    axes.set_xlabel("points of 100")


def _histogram(axes: Axes, histogram: dict[str, int]) -> None:
    axes.set_title("Scores of single judgments")
    if not histogram:
        _nothing(axes)
        return
    score_bars(axes, histogram, COLOURS[2])
    axes.set_xlabel("score")
    axes.set_ylabel("share, %")


def _nothing(axes: Axes) -> None:
    axes.text(0.5, 0.5, "not measurable here", color=GREY, ha="center", va="center", transform=axes.transAxes)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
