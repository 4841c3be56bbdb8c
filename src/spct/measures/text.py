"""Measures in words, a line each: for summaries and reports alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spct.measures import KindMeasured
from spct.measures.case import Measure
from spct.wording import count

BEST_OF = "best of "


def kind_title(kind: KindMeasured) -> str:
    """How many items there are of the kind, what it is, and how many of them are left out for want of a vote."""
    left = kind.items - kind.voted
    without = f"; {left:,} without a verdict {'count as wrong' if kind.kind == 'best' else 'left out'}" if left else ""
    return f"{count(kind.items, 'item')} with {kind.title}{without}"


def kind_lines(kind: KindMeasured) -> Iterator[str]:
    """A line for each measure; those of best of n share one."""
    sizes = [measure for measure in kind.measures if measure.name.startswith(BEST_OF)]
    for measure in kind.measures:
        if measure not in sizes:
            yield measure_text(measure)
    if sizes:
        shown = [m for s, m in enumerate(sizes, 1) if s & (s - 1) == 0 or s == len(sizes)]
        yield "mean reward of the one chosen among S at random: " + ", ".join(
            f"S = {measure.name.removeprefix(BEST_OF)} {value_text(measure)}" for measure in shown
        )


def measure_text(measure: Measure) -> str:
    """``Spearman's rho 0.412 (3 left out, where it is not defined)``."""
    note = f" ({measure.note})" if measure.note else ""
    return f"{measure.name} {value_text(measure)}{note}"


def value_text(measure: Measure) -> str:
    """The value with its interval, in percent where it is a share; a dash where there is none."""
    if measure.value is None:
        return "-"
    shown = "{:.1%}" if measure.share else "{:.3f}"
    interval = ""
    if measure.low is not None and measure.high is not None:
        interval = f" [{shown.format(measure.low)}, {shown.format(measure.high)}]"
    return shown.format(measure.value) + interval


def ungraded_text(ungraded: Mapping[str, int]) -> str:
    """``5 items: nothing says which response is right``, the reasons in order of their counts."""
    rows = sorted(ungraded.items(), key=lambda row: (-row[1], row[0]))
    return "; ".join(f"{count(number, 'item')}: {reason}" for reason, number in rows)
