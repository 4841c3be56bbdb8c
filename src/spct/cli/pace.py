"""How fast samples come, and how long those still to come will take.

Failure rule: no rate before there is one. It must be measured over ``MEASURED_S`` seconds and ``LEAST_SAMPLES`` samples, and
the first requests must be over: of the time measured the second half brought no more than twice as much as the first.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from spct.views import Totals
from spct.wording import MEASURED_S

LEAST_SAMPLES = 5
WINDOW_S = 30.0
WINDOW_SAMPLES = 50
"""A rate is one over the last so many seconds or the last so many samples, whichever go back further."""


class Mark(NamedTuple):
    """What had been counted at a time: samples, and the tokens generated for them."""

    at_s: float
    samples: int = 0
    tokens: int = 0


class Pace:
    """Smoothed rates of one session. Judgments that were there before it do not count."""

    def __init__(self, now: float) -> None:
        self._marks = deque([Mark(now)])
        self._now = self._marks[0]
        self._steady = False

    def mark(self, now: float, samples: int, tokens: int, *, replaying: bool = False) -> None:
        """Note what this session has counted. While it only reads back what an earlier one sampled, time does not count."""
        self._now = Mark(now, samples, tokens)
        marks = self._marks
        if replaying and not samples:
            marks[0] = self._now
        elif samples > marks[-1].samples:
            marks.append(self._now)
        while len(marks) > 1 and now - marks[1].at_s >= WINDOW_S and samples - marks[1].samples >= WINDOW_SAMPLES:
            marks.popleft()
        self._steady = self._steady or self._is_steady()

    @property
    def samples_per_s(self) -> float | None:
        return (self._now.samples - self._marks[0].samples) / self._seconds if self._steady else None

    @property
    def tokens_per_s(self) -> float | None:
        return (self._now.tokens - self._marks[0].tokens) / self._seconds if self._steady else None

    @property
    def _seconds(self) -> float:
        return self._now.at_s - self._marks[0].at_s

    def _is_steady(self) -> bool:
        first = self._marks[0]
        samples = self._now.samples - first.samples
        if self._seconds < MEASURED_S or samples < LEAST_SAMPLES:
            return False
        middle = first.at_s + self._seconds / 2
        early = max(mark.samples for mark in self._marks if mark.at_s <= middle) - first.samples
        return samples - early <= 2 * early


def samples_left(totals: Totals, sampled: int, k: int | None) -> float | None:
    """How many samples are still to come after this session's ``sampled``; None where nothing tells.

    With ``k`` an item takes k, or as many as the items done took (blocks, retries) if that is more. Without it (adaptive
    k) the items done are all that tells. Those settle first that need fewest, so what is sampled of others already is not
    taken off.
    """
    if totals.planned is None or (k is None and not totals.items):
        return None
    each = max(k or 0, totals.judgments / totals.items if totals.items else 0)
    begun = 0 if k is None else max(0, sampled + totals.replayed - totals.judgments)
    return max(0, (totals.planned - totals.items) * each - begun)
