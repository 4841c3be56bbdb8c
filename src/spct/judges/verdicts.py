"""From an item's judgments, or from what kept them from being made, to its verdict: the same whoever judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from spct.judges.settings import JudgeSettings
from spct.types import Item, ItemError, Judgment, Usage
from spct.voting.guided import decide_guided
from spct.voting.noise import TEN_POINTS
from spct.voting.ratings import Ratings
from spct.voting.verdict import Verdict
from spct.voting.vote import VoteOptions, decide

_NO_USAGE = Usage()
NO_ERRORS: Mapping[str, ItemError] = MappingProxyType({})


def verdict_of(
    item: Item,
    settings: JudgeSettings,
    judgments: Sequence[Judgment],
    *,
    ratings: Ratings | None = None,
    usage: Usage = _NO_USAGE,
    noise: float = TEN_POINTS,
    juror_errors: Mapping[str, ItemError] = NO_ERRORS,
) -> Verdict:
    """The vote over an item's judgments as ``settings`` say; with ``ratings`` over those that they rate best.

    ``noise`` is the judge's, for the confidence. ``juror_errors`` are what kept jurors from judging, by their names.
    """
    vote: VoteOptions = {
        "id": item.id,
        "n": len(item.responses),
        "k": settings.k,
        "rule": settings.rule,
        "tie_rule": settings.tie_rule,
        "seed": settings.seed,
        "temperature": settings.sampling.temperature,
        "usage": usage,
        "noise": noise,
        "rubric": settings.rubric,
        "jury": settings.jury,
    }
    if settings.jury is not None:
        verdict = decide(judgments, **vote)
        return replace(verdict, jury=verdict.jury and verdict.jury.with_errors(juror_errors))
    if ratings is None:
        return decide(judgments, **vote)
    return decide_guided(judgments, ratings, k_meta=settings.k_meta, **vote)


def no_verdict(
    item: Item,
    settings: JudgeSettings,
    error: ItemError,
    judgments: Sequence[Judgment] = (),
    usage: Usage = _NO_USAGE,
) -> Verdict:
    """The verdict of an item that failed: no ranking, the reason, and the judgments there are."""
    valid = sum(judgment.scores is not None for judgment in judgments)
    return Verdict(
        id=item.id,
        n=len(item.responses),
        k=settings.k,
        rule=settings.rule,
        tie_rule=settings.tie_rule,
        valid_N=(),
        valid=valid,
        invalid=len(judgments) - valid,
        judgments=tuple(judgments),
        error=error,
        usage=usage,
    )
