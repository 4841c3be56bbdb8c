"""Plain Python: the best of n responses, by one joint judgment.

best_of_n(grm_or_url, "Name a prime above 10.", ["12", "11"]).response
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spct.adapters.source import RewardFrom, reward_source
from spct.client import RewardSource
from spct.client.rewards import Query


@dataclass(frozen=True, slots=True)
class Best:
    """The winner and its place; ``rewards`` are the mean scores of all responses, ``tied`` those that share first place.

    ``confidence`` is as in ``spct.Verdict``: the chance that it would still lead if sampling went on.
    """

    index: int
    response: str
    rewards: tuple[float, ...]
    tied: tuple[int, ...]
    confidence: float | None


async def abest_of_n(
    judge: RewardFrom,
    query: Query,
    responses: Sequence[str],
    *,
    reference: str | None = None,
    principles: str | None = None,
    **source: Any,
) -> Best:
    """The best of ``responses``. Raises SpctError; NoVerdictError if no vote could be held."""
    rewards = reward_source(judge, **source)
    try:
        return await _best(rewards, query, responses, reference, principles)
    finally:
        if isinstance(judge, str):
            await rewards.aclose()


def best_of_n(
    judge: RewardFrom,
    query: Query,
    responses: Sequence[str],
    *,
    reference: str | None = None,
    principles: str | None = None,
    **source: Any,
) -> Best:
    """Like ``abest_of_n``, from plain code."""
    rewards = reward_source(judge, **source)
    try:
        return rewards.run(_best(rewards, query, responses, reference, principles))
    finally:
        if isinstance(judge, str):
            rewards.close()


async def _best(
    source: RewardSource, query: Query, responses: Sequence[str], reference: str | None, principles: str | None
) -> Best:
    rewards = await source.areward(query, responses, normalisation="mean", reference=reference, principles=principles)
    return Best(rewards.best, responses[rewards.best], rewards.rewards, rewards.tied, rewards.confidence)
