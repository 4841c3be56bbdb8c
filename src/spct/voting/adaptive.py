"""When to stop sampling an item: once its winner is unlikely to change by k_max judgments.

The chance is ``confidence.lead_chance`` with the judgments still to come: that the leader's total over k_max stays
ahead of every rival's, by the paired margins seen so far. It assumes that judgments are independent draws of one judge;
a round that covers the balanced orders in part leaves a position bias in the margins, as fewer samples always do. Ties
are never settled: they go to k_max. The mean scores of items stopped early are slightly exaggerated, since a lead by
luck stops sooner: use adaptive k for rankings first, for scores second. The first look is after ``FIRST_LOOK`` judgments:
one of them says nothing of how much they differ.
"""

from __future__ import annotations

from collections.abc import Sequence

from spct.errors import InputError
from spct.voting.confidence import lead_chance
from spct.voting.noise import TEN_POINTS
from spct.voting.rows import ScoreRow
from spct.voting.vote import row_means

DEFAULT_LEVEL = 0.97
"""Loses at most 0.2 points of k = 8 accuracy on six recorded judges, strong and weak (docs/voting.md)."""
FIRST_LOOK = 2


def settled(
    scores_KN: Sequence[ScoreRow],  # noqa: N803
    k_max: int,
    level: float = DEFAULT_LEVEL,
    noise: float = TEN_POINTS,
) -> bool:
    """Whether to stop after these valid judgments, K rows of N scores, of at most ``k_max``.

    True at k_max, and before it once the leader stays so with chance ``level`` or more; ``noise`` is the judge's
    (``voting.noise``). Never early for N = 1, which has no winner, nor where blocks leave the leader uncompared with a
    rival. It depends on nothing but the noise and the rows, as a set, so a resumed run stops where an uninterrupted one
    does. Raises InputError for a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise InputError(f"level is {level!r}; expected a chance between 0 and 1, such as {DEFAULT_LEVEL}")
    if len(scores_KN) >= k_max:
        return True
    means = row_means(scores_KN)
    if means is None or len(scores_KN) < FIRST_LOOK:
        return False
    chance = lead_chance(scores_KN, means.index(max(means)), k_max - len(scores_KN), noise)
    return chance is not None and chance >= level
