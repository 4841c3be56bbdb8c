"""Totals worked out from what a judgment says, in place of the sums that its author wrote into the box.

A judgment names its criteria with their weights, says of each response and criterion what is found, gives points, adds them
up and boxes the sums. So one completion has three totals: its own, its points ``added`` here, and its weights times what it
found, ``weighed`` here, as ``--template grm-criteria`` does. Nothing is sampled for it. A judgment that does not say enough
of every response is invalid, whatever its box holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from benchmarks.spct_lab.steps import read_judgment

from spct.bench.suites.benchmark import Ballot
from spct.run import RunStore

Totals = Callable[[str, int], tuple[int, ...] | None]
"""Of a judgment's text and the number of responses that it shows: a total for each in shown order; None where it cannot be told."""


def added(text: str, n: int) -> tuple[int, ...] | None:
    """The sums of the points."""
    written = read_judgment(text, n)
    return None if written is None else tuple([line.computed for line in written.lines])


def weighed(text: str, n: int) -> tuple[int, ...] | None:
    """The sums of the weights of what is met: found, or for "lack" not found."""
    written = read_judgment(text, n)
    if written is None:
        return None
    totals = []
    for line in written.lines:
        weights = written.weights(line)
        if None in weights:
            return None
        totals.append(sum(weight for check, weight in zip(line.checks, weights, strict=True) if weight and check.met))
    return tuple(totals)


KINDS: Mapping[str, Totals] = {"added": added, "weighed": weighed}


def ballots_by(run: Path, totals: Totals) -> tuple[dict[str, list[Ballot]], dict[str, float]]:
    """The ballots of a run by other totals, by item; and the share of each item's judgments whose box says something else.

    Judgments that lack either are not in that share; an item of such judgments alone has 0.
    """
    ballots: dict[str, list[Ballot]] = {}
    other: dict[str, float] = {}
    with closing(RunStore.open(run)) as store:
        for position, item in store.items():
            row, differ = [], []
            for judgment in store.history(position):
                shown = totals(judgment.text, len(judgment.order))
                scores = (
                    None if shown is None else tuple(float(shown[judgment.order.index(i)]) for i in range(len(shown)))
                )
                row.append(Ballot(scores, judgment.order))
                if scores is not None and judgment.scores is not None:
                    differ.append(scores != tuple(judgment.scores))
            ballots[item.id] = row
            other[item.id] = sum(differ) / len(differ) if differ else 0.0
    return ballots, other
