"""Confidence that the leader of a vote leads it: the chance that it would still do so were sampling continued.

Model. The margins of the leader over a rival in one judgment are draws around an unknown mean, flat before seeing
them. Their variance is one for all rivals of the item, with a prior worth ``PRIOR_JUDGMENTS`` judgments at the judge's
noise (``noise``): a few equal integers never make certainty, and a single judgment has a variance to go by. With m
judgments, mean margin d and variance s^2, the total over m + h judgments stays positive with probability
T(d / s * sqrt(m (m + h) / h)), T being Student's t with PRIOR_JUDGMENTS + m - 1 degrees of freedom; the root tends to
sqrt(m) as h grows without end, and for the h further judgments alone it is sqrt(m h / (m + h)). Rivals are joined by
adding the odds against: 1 / (1 + sum (1 - p) / p), which gives 1/t to a tie of t.

The constants were fitted on two recorded judges and checked on others (``benchmarks/confidence.py``, docs/voting.md).
It is about this judge's vote, not about being right.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import copysign, erfc, inf, log1p, sqrt

from spct.voting.noise import TEN_POINTS
from spct.voting.rows import ScoreRow

PRIOR_JUDGMENTS = 4.0

CEILING = 0.999999
"""No extrapolation is surer than this: beyond it there is no record to check the model against."""


def lead_confidence(
    scores_KN: Sequence[ScoreRow],  # noqa: N803
    best: int,
    noise: float = TEN_POINTS,
) -> float | None:
    """Return the chance that ``best`` would lead a vote of this judge continued without end, at most ``CEILING``.

    ``noise`` is how much the judge's margins vary (``noise.scale_noise``, ``noise.learned_noise``; default: scale 1..10).
    None for a single response, and where ``best`` was never scored in the same row as some rival.
    """
    chance = lead_chance(scores_KN, best, inf, noise)
    return None if chance is None else min(chance, CEILING)


def lead_chance(
    scores_KN: Sequence[ScoreRow],  # noqa: N803
    best: int,
    more: float,
    noise: float = TEN_POINTS,
    *,
    fresh: bool = False,
) -> float | None:
    """Return the chance that ``best`` leads the sums after ``more`` further judgments (a tie of t counts 1/t).

    With ``fresh``, that it leads the sums of those further judgments alone.
    """
    rivals = [_moments(scores_KN, best, rival) for rival in range(len(scores_KN[0])) if rival != best]
    if not rivals or any(m == 0 for m, _, _ in rivals):
        return None
    freedom = sum([m - 1 for m, _, _ in rivals])
    pooled = sum([squares for _, _, squares in rivals]) / freedom if freedom else 0.0
    against = 0.0
    for m, mean, _ in rivals:
        miss = _miss(mean, m, pooled, more, noise, fresh)
        if miss >= 1.0:
            return 0.0
        against += miss / (1.0 - miss)
    return 1.0 / (1.0 + against)


def _moments(scores_KN: Sequence[ScoreRow], best: int, rival: int) -> tuple[int, float, float]:  # noqa: N803
    """Return the margins' count, mean and sum of squared deviations, over the rows that score both."""
    margins = [
        ahead - behind for row in scores_KN if (ahead := row[best]) is not None and (behind := row[rival]) is not None
    ]
    if not margins:
        return 0, 0.0, 0.0
    m, total = len(margins), sum(margins)
    return m, total / m, max(0.0, sum([margin * margin for margin in margins]) - total * total / m)


def _miss(mean: float, m: int, pooled: float, more: float, noise: float, fresh: bool) -> float:
    """Return the chance that a margin of this mean over m judgments is lost to the rival."""
    if mean == 0 or (fresh and more <= 0):
        return 0.5
    if more <= 0:
        return 0.0 if mean > 0 else 1.0
    freedom = PRIOR_JUDGMENTS + m - 1
    variance = (PRIOR_JUDGMENTS * noise + (m - 1) * pooled) / freedom
    share = 1.0 if more == inf else more / (m + more)
    reach = m * share if fresh else m / share
    return _t_tail(mean * sqrt(reach / variance), freedom)


def _t_tail(t: float, freedom: float) -> float:
    """Return P(T > t) of Student's t by Wallace's transformation to a normal: within 0.002 from 4 degrees up."""
    z = (8 * freedom + 1) / (8 * freedom + 3) * sqrt(freedom * log1p(t * t / freedom))
    return 0.5 * erfc(copysign(z, t) / sqrt(2))
