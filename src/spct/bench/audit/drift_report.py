"""How a judge's rewards moved, as people read it: lines, Markdown, a figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from spct.bench.audit.drift import NAMES, SHARES, Drift
from spct.bench.gate_report import cell
from spct.bench.plots import COLOURS, STYLE, save, short
from spct.bench.scoring.statistics import Figure
from spct.harmless import line


def drift_lines(drift: Drift) -> Iterator[str]:
    """A drift as lines for a terminal: each figure by steps, and whether it moved."""
    yield f"run {titled(drift)}: {drift.groups:,} groups at {_steps(drift)}"
    for name in NAMES:
        yield ""
        yield f"{name}: {said(name, drift.changes[name])}"
        for span in drift.spans:
            yield f"  step {span.title:>13}: {shown(name, span.figures[name])}"


def _steps(drift: Drift) -> str:
    first, last = drift.spans[0].first, drift.spans[-1].last
    return f"step {first}" if first == last else f"steps {first} to {last}"


def drift_markdown(drifts: Sequence[Drift], plots: Sequence[str] = ()) -> str:
    """Drifts as Markdown, a table each, and its plot if there is one."""
    text: list[str] = []
    for place, drift in enumerate(drifts):
        text += [f"# Rewards by step: {cell(titled(drift))}", ""]
        text += [f"{drift.groups:,} groups; figures with 95% intervals over n prompts.", ""]
        text += ["| step | groups | " + " | ".join(NAMES) + " |", "| ---: | ---: | " + "---: | " * len(NAMES)]
        for span in drift.spans:
            cells = [shown(name, span.figures[name]) for name in NAMES]
            text.append(f"| {span.title} | {span.groups} | " + " | ".join(cells) + " |")
        changes = [shown(name, drift.changes[name], "+") for name in NAMES]
        text += [f"| last third less first | | {' | '.join(changes)} |", ""]
        text += [f"![Rewards by step]({plot})" for plot in plots[place : place + 1]]
        text.append("")
    return "\n".join(text)


def shown(name: str, figure: Figure | None, sign: str = "") -> str:
    """A figure with its interval and n; shares times 100."""
    if figure is None:
        return "none"
    scale, form = (100.0, f"{sign}.1f") if name in SHARES else (1.0, f"{sign}.2f")
    value = f"{scale * figure.value:{form}}"
    if figure.low is None or figure.high is None:
        return f"{value} (n = {figure.n}, no interval)"
    return f"{value} [{scale * figure.low:{form}}, {scale * figure.high:{form}}] (n = {figure.n})"


def said(name: str, change: Figure | None) -> str:
    """Whether it moved, in words."""
    if change is None:
        return "whether it moved cannot be told: fewer than three steps, or nothing that differs"
    told = f"last third less first {shown(name, change, '+')}"
    if change.low is None or change.high is None:
        return f"{told}: nothing can be told, since {change.note}"
    moved = "it rose" if change.low > 0 else "it fell" if change.high < 0 else "no clear change"
    return f"{moved}: {told}"


def titled(drift: Drift) -> str:
    """The name of its run, fit to be shown."""
    return line(drift.run) or "(no name)"


def drift_plot(drift: Drift, out: Path, name: str) -> str:
    """Draw every figure by step into ``out`` as NAME.svg and NAME.png; the PNG's name."""
    with rc_context(STYLE):
        canvas = Canvas(figsize=(8.4, 8.4), layout="constrained")
        panels = list(canvas.subplots(4, 2, sharex=True).flat)
        for place, (axes, figure_name) in enumerate(zip(panels, NAMES, strict=False)):
            _panel(axes, drift, figure_name, COLOURS[place % len(COLOURS)])
        panels[len(NAMES)].set_axis_off()
        for axes in panels[len(NAMES) - 2 : len(NAMES)]:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("step")
        title = short(titled(drift), 50).replace("$", r"\$")
        canvas.suptitle(f"Rewards by step: {title} (95% intervals over prompts)", fontsize=11)
        return save(canvas, out, name)


def _panel(axes: Axes, drift: Drift, name: str, colour: str) -> None:
    """The figure at the middle of each span that has one, with its interval where it has one."""
    scale = 100.0 if name in SHARES else 1.0
    axes.set_title(name + (", %" if name in SHARES else ""))
    found = [(span, figure) for span in drift.spans if (figure := span.figures[name]) is not None]
    xs = [(span.first + span.last) / 2 for span, _ in found]
    axes.plot(xs, [scale * figure.value for _, figure in found], color=colour, marker="o", markersize=3)
    for x, (_, figure) in zip(xs, found, strict=True):
        if figure.low is not None and figure.high is not None:
            axes.vlines(x, scale * figure.low, scale * figure.high, color=colour, alpha=0.5)
