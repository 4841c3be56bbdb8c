"""``/v1/reward``: a group, several groups, or one rollout of a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from spct.service.rewards import Normalisation
from spct.service.service import Origin
from spct.wire.parts import (
    QUERY_NAMES,
    Deadline,
    ErrorBody,
    GroupIn,
    JudgeName,
    MetadataIn,
    Options,
    Out,
    Own,
    Query,
    Response,
    Some,
    Text,
    Tools,
    Turn,
    UsageOut,
    shown_as,
)


class RewardGroup(GroupIn):
    """The rewards of one group."""

    model_config = shown_as({"query": "Name a prime above 10.", "responses": ["12", "11"], "normalisation": "centred"})

    judge: JudgeName = None
    normalisation: Normalisation = "mean"
    options: Options = Field(default_factory=Options)
    deadline_s: Deadline = None


class RewardGroups(Own):
    """The rewards of several groups; one that has none does not keep the others from theirs."""

    model_config = shown_as(
        {"groups": [{"query": "Name a prime above 10.", "responses": ["12", "11"]}], "normalisation": "unit"}
    )

    groups: Some[GroupIn]
    judge: JudgeName = None
    normalisation: Normalisation = "mean"
    options: Options = Field(default_factory=Options)
    deadline_s: Deadline = None


class CohortIn(Own):
    """The group that a lone rollout belongs to: judged when ``size`` members are there, or when waiting is over.

    ``run`` keeps trainings apart. ``id`` names the group within its run; without one, rollouts of one query and size are
    gathered. Without ``size`` the group is judged when waiting is over. ``member`` names the rollout within its run, so
    that a repeated request is known as one; without it two equal rollouts are two.
    """

    run: Annotated[str, Field(max_length=256)] = ""
    id: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    size: Annotated[int | None, Field(ge=1)] = None
    member: Annotated[str | None, Field(min_length=1, max_length=256)] = None


class RewardRollout(Own):
    """The reward of one rollout, judged jointly with the rest of its group under the server's own options.

    Its run is ``group.run``, unless ``metadata`` says another, and its name ``group.member``.

    With ``hold_s`` the answer is PendingError (425) if the group is not judged by then; the rollout stays in its group,
    and the same request sent again goes on waiting. It needs ``group.member``.
    """

    model_config = shown_as(
        {
            "query": "Name a prime above 10.",
            "response": "11",
            "group": {"run": "run-1", "id": "step-7/prompt-3", "size": 8, "member": "5"},
        }
    )

    query: Query = Field(validation_alias=QUERY_NAMES)
    response: Response | Turn
    group: CohortIn
    judge: JudgeName = None
    tools: Tools = None
    reference: Text | None = None
    principles: Text | None = None
    metadata: MetadataIn | None = None
    normalisation: Normalisation = "mean"
    deadline_s: Deadline = None
    hold_s: Annotated[float | None, Field(ge=0, le=3600)] = None


def _reward_kind(value: Any) -> str:
    has = value.__contains__ if isinstance(value, Mapping) else lambda name: hasattr(value, name)
    return "groups" if has("groups") else "rollout" if has("response") or has("group") else "group"


RewardRequest = Annotated[
    Annotated[RewardGroup, Tag("group")]
    | Annotated[RewardGroups, Tag("groups")]
    | Annotated[RewardRollout, Tag("rollout")],
    Discriminator(_reward_kind),
]


Range = Annotated[
    tuple[float, float] | None,
    Field(description="Least and greatest reward possible; null where the judge states none."),
]


class GroupRewards(Out):
    """``rewards[i]`` is that of response i. ``counts`` are the valid judgments behind each.

    ``by_criterion[i]`` is what response i has of each criterion of a rubric, 0 to 1; null without a rubric. A criterion
    without a valid answer is not in it.
    """

    id: str
    model: str
    source: Origin
    normalisation: Normalisation
    range: Range
    rewards: tuple[float, ...]
    by_criterion: tuple[dict[str, float], ...] | None = None
    counts: tuple[int, ...]
    best: int
    tied: tuple[int, ...]
    valid: int
    invalid: int
    confidence: float | None
    usage: UsageOut


class GroupOutcome(Out):
    """Rewards, or the error that the group alone would have been answered with."""

    index: int
    rewards: GroupRewards | None
    error: ErrorBody | None


class GroupsRewards(Out):
    """One outcome per group, in the order asked."""

    results: tuple[GroupOutcome, ...]
    failed: int


class RolloutReward(Out):
    """The reward of one rollout. ``members`` had come when its group was judged; ``size`` were expected.

    ``partial`` says that some were missing, ``alone`` that there was nothing to compare with. ``closed`` is what ended
    the gathering.
    """

    reward: float
    model: str
    normalisation: Normalisation
    range: Range
    members: int
    size: int | None
    closed: Literal["full", "deadline"]
    partial: bool
    alone: bool
    best: bool
    valid: int
    invalid: int
