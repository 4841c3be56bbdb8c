"""What an RL run must see of its rewards, as plain numbers by run: whoever wants to show them reads them.

A reward here is the mean score of a response on the judge's own scale, whatever normalisation was asked for, and counts as
often as there are rollouts with its text. Each run belongs to the key that named it. However many names a caller makes up,
at most ``MOST_RUNS`` are kept, shared fairly among the keys: a further one takes the place of one of its key's that has been
still for ``IDLE_S``, or is counted under ``OTHER``.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from math import fsum, isfinite, sqrt
from time import monotonic

from spct.harmless import line
from spct.measures.groups import group_of, log_length
from spct.run.asks import Asked
from spct.service.shares import Shares
from spct.types import Item
from spct.voting.verdict import Verdict

MOST_RUNS = 64
IDLE_S = 3600.0
OTHER = "(other)"
LONGEST_NAME = 64
WITHOUT_SCALE = (-10.0, -5.0, -2.0, -1.0, -0.5, -0.2, 0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
MEMORY = 512
"""The correlation with length forgets: a group that is so many groups old weighs 1/e."""


@dataclass(slots=True)
class RunFigures:
    """Sums since the run's first request. ``edges`` are upper ends of buckets of rewards, ``buckets`` one more.

    Of ``compared`` groups, those of two rollouts or more, ``equal`` have one reward for all and teach nothing; ``spread`` is
    the sum of their standard deviations (n - 1). ``tied`` groups have several responses in first place. ``confident`` groups
    have a confidence. ``without_reward`` groups were judged and have no verdict.
    """

    edges: tuple[float, ...]
    step: int | None = None
    groups: int = 0
    compared: int = 0
    equal: int = 0
    tied: int = 0
    without_reward: int = 0
    rollouts: int = 0
    reward: float = 0.0
    buckets: list[int] = field(default_factory=list)
    spread: float = 0.0
    confident: int = 0
    confidence: float = 0.0
    valid: int = 0
    invalid: int = 0
    seen: float = field(default_factory=monotonic)
    _moments: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        self.buckets = [0] * (len(self.edges) + 1)

    @property
    def length_correlation(self) -> float | None:
        """Of reward and log length within the last groups, None where neither differs."""
        product, rewards, lengths = self._moments
        return product / sqrt(rewards * lengths) if rewards * lengths > 0 else None

    def saw(self, asked: Asked, item: Item, verdict: Verdict) -> None:
        """Count the answer to one request."""
        self.seen = monotonic()
        if asked.step is not None:
            self.step = asked.step
        self.valid += verdict.valid
        self.invalid += verdict.invalid
        if verdict.means is None or not all(map(isfinite, verdict.means)):
            self.without_reward += 1
            return
        group = group_of(verdict.means, list(map(log_length, item.responses)), asked.copies)
        for reward in group.rewards:
            self.buckets[bisect_left(self.edges, reward)] += 1
        self.groups += 1
        self.rollouts += len(group.rewards)
        self.reward += fsum(group.rewards)
        self.tied += bool(verdict.tied)
        if verdict.confidence is not None:
            self.confident += 1
            self.confidence += verdict.confidence
        if group.with_length is not None:
            self.compared += 1
            self.equal += group.is_equal
            self.spread += group.spread
            kept, (a, b, c) = 1 - 1 / MEMORY, self._moments
            product, of_rewards, of_lengths = group.with_length
            self._moments = kept * a + product, kept * b + of_rewards, kept * c + of_lengths


class RunsSeen:
    """The figures of all runs, by key and run. ``callers`` keys share the places."""

    def __init__(self, callers: int = 1) -> None:
        self.by_run: dict[tuple[str, str], RunFigures] = {}
        self._places = Shares(MOST_RUNS, callers)

    def of(self, caller: str, run: str, scale: tuple[float, float] | None) -> RunFigures:
        """The figures that a run of this caller is counted in; ``scale`` is that of its judge."""
        name = (caller, line(run[:LONGEST_NAME]))
        if name in self.by_run:
            return self.by_run[name]
        if name[1] != OTHER and (self._places.has_room(caller) or self._let_go(caller)):
            self._places.take(caller)
        else:
            name = (caller, OTHER)
        return self.by_run.setdefault(name, RunFigures(edges_of(scale)))

    def _let_go(self, caller: str) -> bool:
        """Forget the run of this caller that has been still for longest, if that is long enough."""
        own = [(figures.seen, name) for name, figures in self.by_run.items() if name[0] == caller and name[1] != OTHER]
        seen, name = min(own, default=(monotonic(), ("", "")))
        if monotonic() - seen < IDLE_S:
            return False
        del self.by_run[name]
        self._places.give(caller)
        return True


def edges_of(scale: tuple[float, float] | None) -> tuple[float, ...]:
    """The upper ends of the buckets of rewards on this scale: half points from 1 to 10, else 20 equal steps.

    Nobody states a scale for scalar reward models.
    """
    if scale is None:
        return WITHOUT_SCALE
    low, high = scale
    steps = round(2 * (high - low)) if 2 <= high - low <= 10 else 20
    return tuple([low + (high - low) * i / steps for i in range(steps + 1)])
