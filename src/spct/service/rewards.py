"""A verdict as rewards: one number per response, of a stated kind and range. Never a number where there is no verdict.

With scores s from low to high, c valid judgments in the vote, and the others of the group j:

- "total": sum of s over the judgments (arXiv 2504.02495, Eq 14); c low to c high.
- "mean": total / c; low to high.
- "unit": (mean - low) / (high - low); 0 to 1.
- "centred": mean less the mean of the group's means; -(high - low) to high - low.
- "rank": share of the others with a lower mean, ties count half; 0 to 1.
- "win_rate": share of pairs (judgment, other) in which it scores higher, ties count half; 0 to 1.

The last three compare: they need two members. A response that stands for several members of equal text counts as many
times. Scores of responses judged in blocks are reconciled and may leave the scale: no range is stated for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import fsum, isfinite
from operator import itemgetter
from typing import Literal, get_args

from spct.errors import InputError, LoneMemberError, NoVerdictError
from spct.service.member import CohortPlace
from spct.voting.blocks import in_blocks
from spct.voting.rows import ScoreRow, sample_rows, samples_of
from spct.voting.verdict import Verdict

Normalisation = Literal["total", "mean", "unit", "centred", "rank", "win_rate"]
COMPARING: tuple[Normalisation, ...] = ("centred", "rank", "win_rate")
Scale = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rewards:
    """``values`` in item order; ``range`` is the least and the greatest that they can be, None where nobody knows."""

    normalisation: Normalisation
    values: tuple[float, ...]
    range: Scale | None


def check_normalisation(normalisation: str, members: int, scale: Scale | None) -> None:
    """Raise InputError for rewards that a group of so many members, or a judge with this scale, cannot have."""
    if normalisation not in get_args(Normalisation):
        raise InputError(f"normalisation {normalisation!r}: expected one of {', '.join(get_args(Normalisation))}")
    if normalisation in COMPARING and members < 2:
        raise InputError(
            f"normalisation {normalisation!r} compares responses, and there is one; use mean, total or unit"
        )
    if normalisation == "unit" and scale is None:
        raise InputError("normalisation 'unit' needs a judge that states its scale, and this one does not; use mean")


def rewards_of(
    verdict: Verdict,
    normalisation: Normalisation = "mean",
    scale: Scale | None = None,
    copies: Sequence[int] | None = None,
) -> Rewards:
    """The rewards of a verdict's n responses.

    ``copies`` is how many members each response stands for, 1 if None. Raises NoVerdictError if there is no verdict, or
    none on all the judgments; InputError for a normalisation that this verdict or this judge does not allow.
    """
    copies = [1] * verdict.n if copies is None else copies
    check_normalisation(normalisation, sum(copies), scale)
    if verdict.error is not None or verdict.means is None or verdict.totals is None:
        reason = "" if verdict.error is None else f": {verdict.error.type}"
        raise NoVerdictError(
            f"no reward: the vote over {verdict.valid} valid and {verdict.invalid} invalid judgments gave no verdict{reason}"
        )
    low, high = scale or (0.0, 0.0)
    table = verdict.jury or verdict.criteria
    leaves_scale = table is None and in_blocks(samples_of(verdict.judgments))

    def of(values: Sequence[float], least: float, most: float) -> Rewards:
        if not all(map(isfinite, values)):
            raise NoVerdictError("no reward: a score is not a finite number")
        return Rewards(normalisation, tuple(values), None if scale is None or leaves_scale else (least, most))

    means = verdict.means
    if normalisation == "total":
        return of(verdict.totals, low * min(verdict.valid_N), high * max(verdict.valid_N))
    if normalisation == "mean":
        return of(means, low, high)
    if normalisation == "unit":
        return of([(mean - low) / (high - low) for mean in means], 0.0, 1.0)
    if normalisation == "centred":
        centre = fsum([mean * count for mean, count in zip(means, copies, strict=True)]) / sum(copies)
        return of([mean - centre for mean in means], low - high, high - low)
    rows: Sequence[ScoreRow] = [means] if normalisation == "rank" else _voting_rows(verdict)
    return Rewards(normalisation, _wins(rows, copies), (0.0, 1.0))


def place_rewards(place: CohortPlace, normalisation: Normalisation, scale: Scale | None) -> Rewards:
    """The rewards of the group that a rollout was judged with; LoneMemberError if it came alone and must be compared."""
    if place.members == 1 and normalisation in COMPARING:
        raise LoneMemberError(f"normalisation {normalisation!r} compares, and this rollout came alone")
    return rewards_of(place.verdict, normalisation, scale, place.copies)


def _voting_rows(verdict: Verdict) -> Sequence[ScoreRow]:
    """The scores that were voted over as they were given, a row for each judgment: blocks compare within themselves."""
    if (table := verdict.jury or verdict.criteria) is not None:
        return table.rows
    voting = [j for j in verdict.judgments if verdict.kept is None or j.index in verdict.kept]
    parts = [[part] for sample in samples_of(voting, verdict.rule) for part in sample]
    return [row for row in sample_rows(parts, verdict.n) if row is not None]


def _wins(rows: Sequence[ScoreRow], copies: Sequence[int]) -> tuple[float, ...]:
    """For each column, the share of (row, other member) pairs in which it is higher; ties count half.

    A row compares only what it scores. Raises NoVerdictError for a column that no row compares.
    """
    n = len(copies)
    won, pairs = [0.0] * n, [0] * n
    for row in rows:
        scored = sorted((score, i) for i, score in enumerate(row) if score is not None)
        others = sum(copies[i] for _, i in scored) - 1
        lower = 0
        for _, equal in groupby(scored, key=itemgetter(0)):
            members = [i for _, i in equal]
            count = sum(copies[i] for i in members)
            for i in members:
                won[i] += lower + 0.5 * (count - 1)
                pairs[i] += others
            lower += count
    if 0 in pairs:
        raise NoVerdictError(f"no reward: response {pairs.index(0)} was compared with no other in any judgment")
    return tuple([w / p for w, p in zip(won, pairs, strict=True)])
