"""The judgment that stands for all of an item's when its reasons are to be read, by a stated rule."""

from __future__ import annotations

from spct.types import Judgment
from spct.voting.verdict import Verdict

RULE = (
    "of the valid judgments in the vote that put the winner first, alone or level with others (of all of them if none does), "
    "the one whose scores are nearest to the means of the vote, by the mean squared difference; the earliest of equals"
)


def typical(verdict: Verdict) -> Judgment | None:
    """The judgment by ``RULE``; None where no judgment was voted on."""
    voting = [
        judgment
        for judgment in verdict.judgments
        if _scores(judgment, verdict) and (verdict.kept is None or judgment.index in verdict.kept)
    ]
    if not voting or verdict.means is None:
        return None
    agreeing = [judgment for judgment in voting if _agrees(judgment, verdict)]
    return min(agreeing or voting, key=lambda judgment: (_distance(judgment, verdict), judgment.index, judgment.block))


def _scores(judgment: Judgment, verdict: Verdict) -> dict[int, float]:
    """The scores that the vote is over, by response; {} where it has none."""
    scores = judgment.expected if verdict.rule == "expected" else judgment.scores
    return dict(zip(sorted(judgment.order), scores or (), strict=False))


def _agrees(judgment: Judgment, verdict: Verdict) -> bool:
    scores = _scores(judgment, verdict)
    return verdict.best in scores and scores[verdict.best] == max(scores.values())


def _distance(judgment: Judgment, verdict: Verdict) -> float:
    assert verdict.means is not None
    scores = _scores(judgment, verdict)
    return sum((score - verdict.means[i]) ** 2 for i, score in scores.items()) / len(scores)
