"""What the rewards of a group of rollouts, which answer one prompt, say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, log, sqrt

Scatter = tuple[float, float, float]
"""Sums of products of two values' deviations from their means: of both, of the first's own, of the second's own."""


@dataclass(frozen=True, slots=True)
class Group:
    """``rewards`` are the means of the responses, each as often as there are rollouts with its text.

    Of two rollouts or more, ``with_length`` is how rewards and log lengths scatter; None of a lone one, which is neither
    spread nor equal to another.
    """

    rewards: tuple[float, ...]
    with_length: Scatter | None = None

    @property
    def spread(self) -> float:
        """The standard deviation of the rewards (n - 1), 0 of a lone one."""
        return 0.0 if self.with_length is None else sqrt(self.with_length[1] / (len(self.rewards) - 1))

    @property
    def is_equal(self) -> bool:
        """Whether several rollouts have one reward, which teaches nothing."""
        return self.with_length is not None and min(self.rewards) == max(self.rewards)


def group_of(means_N: Sequence[float], log_lengths_N: Sequence[float], copies: Sequence[int]) -> Group:  # noqa: N803
    """The group of a judged item; ``copies`` says how many rollouts have the text of each response."""
    places = [place for place, count in enumerate(copies) for _ in range(count)]
    rewards = tuple([float(means_N[place]) for place in places])
    if len(rewards) < 2:
        return Group(rewards)
    return Group(rewards, _scatter(rewards, [log_lengths_N[place] for place in places]))


def log_length(text: str) -> float:
    """The log of one more than the characters of a text, so that an empty one has a log, too."""
    return log(1 + len(text))


def _scatter(first: Sequence[float], second: Sequence[float]) -> Scatter:
    middle, other = fsum(first) / len(first), fsum(second) / len(second)
    gaps = [(a - middle, b - other) for a, b in zip(first, second, strict=True)]
    return fsum([a * b for a, b in gaps]), fsum([a * a for a, _ in gaps]), fsum([b * b for _, b in gaps])
