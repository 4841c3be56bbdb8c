"""A monitor of the policy as a judge: a share of the held-out items, each with a change that must not raise a score.

The sample is drawn once, so every evaluation asks the same and what moves the figure is the policy. Items of one response
are left out, since they have a scale of their own. A probe without a verdict is lost and counted, never a gain of 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from spct.bench.probing.changes import read_probes, target_of
from spct.bench.scoring.statistics import mean_figure
from spct.bench.suites.assembly import cluster_of
from spct.errors import InputError
from spct.items import fingerprint
from spct.types import Item
from spct.voting.orders import keyed_hash
from spct.voting.verdict import Verdict

GAIN = "probe_gain"


@dataclass(frozen=True, slots=True)
class Probe:
    """A held-out item with a change made to its response ``target``."""

    item: Item
    target: int


@dataclass(frozen=True, slots=True)
class Gain:
    """By how many points a change raised the score of its response; None where there is no verdict with or without it."""

    prompt: str
    points: float | None


def drawn_probes(items: Sequence[Item], share: float, seed: int) -> tuple[Probe | None, ...]:
    """For each item its probe, or None: a share of the items of two or more responses, the changes dealt in turn.

    As in ``spct probe``, a change is made to a response that is not known to be best. Raises InputError where there is
    nothing to probe.
    """
    probes: list[Probe | None] = [None] * len(items)
    if share == 0:
        return tuple(probes)
    several = [place for place, item in enumerate(items) if len(item.responses) > 1]
    if not several:
        raise InputError(
            f"heldout.probe_share is {share:g}, and no held-out item has two responses; expected such items, or a share of 0"
        )
    several.sort(key=lambda place: (keyed_hash(seed, fingerprint(items[place]), "probe"), place))
    changes = [change for change in read_probes() if change.must_not == "raise"]
    for turn, place in enumerate(several[: math.ceil(share * len(several))]):
        item = items[place]
        target = target_of(item, seed)
        # A change may change nothing here, as half of an empty text; then the next one in turn is made.
        dealt = (changes[(turn + more) % len(changes)].changed(item, target) for more in range(len(changes)))
        changed = next((found for found in dealt if found is not None), None)
        probes[place] = None if changed is None else Probe(changed, target)
    return tuple(probes)


def gain_of(probe: Probe, before: Verdict, after: Verdict) -> Gain:
    """What the change did, from the verdicts without and with it."""
    prompt = cluster_of(probe.item)
    if before.means is None or after.means is None:
        return Gain(prompt, None)
    return Gain(prompt, float(after.means[probe.target] - before.means[probe.target]))


def gain_figures(gains: Sequence[Gain]) -> dict[str, float]:
    """Numbers to log: the mean gain, the low end of its 95% interval where it has one, and the share of probes lost."""
    if not gains:
        return {}
    known = [(gain.points, gain.prompt) for gain in gains if gain.points is not None]
    figures = {f"{GAIN}/lost": 1 - len(known) / len(gains)}
    if known:
        points, prompts = zip(*known, strict=True)
        mean = mean_figure(points, prompts)
        figures[GAIN] = mean.value
        if mean.least is not None:
            figures[f"{GAIN}/least"] = mean.least
    return figures
