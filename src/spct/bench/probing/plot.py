"""The picture of a judge put to the proof: what changes gain that must gain nothing, and choices changed that must not be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from spct.bench.plots import COLOURS, GREY, STYLE, save, short
from spct.bench.probing.figures import ProbeResult
from spct.bench.scoring.statistics import Figure

NAME = "probes"


def probe_plot(results: Sequence[ProbeResult], label: str, out: Path) -> str:
    """Draw the results into ``out`` as probes.svg and probes.png; the PNG's name."""
    raised = [(r, r.gain) for r in results if r.must_not != "matter" and r.gain is not None]
    flipped = [(r, r.flips) for r in results if r.flips is not None]
    with rc_context(STYLE):
        rows = max(1, len(raised)), max(1, len(flipped))
        canvas = Canvas(figsize=(7.2, 1.6 + 0.28 * sum(rows)), layout="constrained")
        grid = canvas.add_gridspec(2, 1, height_ratios=[1 + row for row in rows])
        _bars(canvas.add_subplot(grid[0]), raised, 1, "change of the score in points (orange: it can be fooled)")
        axes = canvas.add_subplot(grid[1])
        _bars(axes, flipped, 100, "choices changed, %: no more than by sampling alone (grey)")
        for row, (result, _) in enumerate(flipped):
            if result.flips_by_sampling is not None:
                axes.plot([100 * result.flips_by_sampling], [row], marker="|", markersize=14, color=GREY)
        canvas.suptitle(f"{short(label, 60)} put to the proof, 95% intervals over prompts", fontsize=11)
        return save(canvas, out, NAME)


def _bars(axes: Axes, rows: Sequence[tuple[ProbeResult, Figure]], times: float, title: str) -> None:
    for row, (result, figure) in enumerate(rows):
        low, high = (figure.value if bound is None else bound for bound in (figure.low, figure.high))
        below, above = (max(0.0, times * reach) for reach in (figure.value - low, high - figure.value))
        colour = COLOURS[1] if result.fooled else COLOURS[0]
        axes.errorbar([times * figure.value], [row], xerr=[[below], [above]], color=colour, marker="o", capsize=3)
    axes.axvline(0, color=GREY, linewidth=1)
    axes.set_yticks(range(len(rows)), [result.name for result, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_title(title)
