"""The meta-guided vote: keep the k_meta best rated of an item's judgments, and vote over those (arXiv 2504.02495, 4.2).

Only valid judgments with a rating can be kept; those without one are counted as ``unrated``. If fewer than k_meta
have one, the vote is over those; if none has, there is no verdict, since an unguided vote must not pass for a guided
one. Equal ratings: the judgment sampled first (lower index) is kept. Judgments are draws of one distribution, so that
rule favours no response.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from math import fsum
from typing import Unpack

from spct.types import ItemError, Judgment
from spct.voting.ratings import Place, Ratings, place_of
from spct.voting.verdict import Verdict
from spct.voting.vote import VoteOptions, count_duplicates, decide


def default_k_meta(k: int) -> int:
    """Half of ``k``, rounded up: at least one judgment is kept."""
    return (k + 1) // 2


def index_ratings(judgments: Sequence[Judgment], ratings: Ratings) -> dict[int, float]:
    """The rating of each judgment that has one, by index.

    A judgment made in blocks has the mean of its blocks' ratings, and none if one of its valid blocks has none.
    """
    return sample_ratings([place_of(judgment) for judgment in judgments if judgment.problem is None], ratings)


def sample_ratings(valid: Iterable[Place], ratings: Ratings) -> dict[int, float]:
    """As ``index_ratings``, from the places of the valid judgments."""
    parts: dict[int, list[float | None]] = defaultdict(list)
    for place in valid:
        rating = ratings.get(place)
        parts[place[0]].append(None if rating is None else rating.value)
    rated = {}
    for index, values in parts.items():
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            rated[index] = fsum(known) / len(known)
    return rated


def best_rated(rated: Mapping[int, float], sampled: Collection[int], k_meta: int | None = None) -> tuple[int, ...]:
    """The ``k_meta`` indices among ``sampled`` that are rated highest, in ascending order; by default half of them.

    Equal ratings go to the lower index.
    """
    by_rating = sorted([i for i in sampled if i in rated], key=lambda index: (-rated[index], index))
    return tuple(sorted(by_rating[: k_meta or default_k_meta(len(sampled))]))


def decide_guided(
    judgments: Sequence[Judgment], ratings: Ratings, *, k_meta: int | None = None, **vote: Unpack[VoteOptions]
) -> Verdict:
    """The verdict over the best rated of an item's judgments; ``vote`` are the arguments of ``vote.decide``.

    ``k_meta`` defaults to half of the judgments that were sampled, rounded up. Totals, means, spread and ``valid_N``
    are those of the kept judgments (``kept``), ``valid`` and ``invalid`` count all. Without a rated judgment the
    error's type is "NoRating".
    """
    if not any(judgment.problem is None for judgment in judgments):
        return decide(judgments, **vote)
    rated = index_ratings(judgments, ratings)
    kept = best_rated(rated, {judgment.index for judgment in judgments}, k_meta)
    # with their invalid judgments, which show whether they were made in blocks
    chosen = [judgment for judgment in judgments if judgment.index in kept]
    verdict = decide(chosen, **vote)
    valid = [judgment for judgment in judgments if judgment.problem is None]
    return replace(
        verdict,
        valid=len(valid),
        invalid=len(judgments) - len(valid),
        judgments=tuple(judgments),
        duplicates=count_duplicates(judgments) if vote.get("temperature", 0.5) > 0 else 0,
        kept=kept,
        unrated=len({judgment.index for judgment in valid} - rated.keys()),
        error=verdict.error if kept else (vote.get("error") or _no_rating(valid, ratings)),
    )


def _no_rating(valid: Sequence[Judgment], ratings: Ratings) -> ItemError:
    found = [rating for judgment in valid if (rating := ratings.get(place_of(judgment))) is not None]
    reason = next((rating.problem for rating in found if rating.problem), "it was not rated")
    return ItemError(
        "NoRating",
        f"none of the {len(valid)} valid judgments has a rating, so none can be kept; the first: {reason}",
    )
