"""``/v1/reward``: rewards only, for a group, for several, or for one rollout of a cohort."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from spct.errors import SpctError
from spct.serve.problems import Json, documented, entry
from spct.serve.routing import JudgingRoute, caller_of
from spct.serve.state import Caller
from spct.service.rewards import Normalisation, Scale, check_normalisation, place_rewards, rewards_of
from spct.service.service import Answer
from spct.wire.answers import group_rewards, rollout_reward
from spct.wire.asked import asked_of, item_of, member_of, options_of
from spct.wire.reward import (
    GroupRewards,
    GroupsRewards,
    RewardGroup,
    RewardGroups,
    RewardRequest,
    RewardRollout,
    RolloutReward,
)

router = APIRouter(route_class=JudgingRoute, tags=["reward"], responses=documented())


@router.post("/v1/reward", response_model=GroupRewards | GroupsRewards | RolloutReward)
async def reward(body: RewardRequest, request: Request) -> Response:
    """The rewards of one group, of several groups, or of one rollout of a group."""
    caller = caller_of(request, body.judge)
    if isinstance(body, RewardGroup):
        return await _of_group(body, caller)
    if isinstance(body, RewardGroups):
        return await _of_groups(body, caller)
    return await _of_rollout(body, caller)


async def _of_group(body: RewardGroup, caller: Caller) -> Response:
    options = options_of(body.options)
    scale = caller.scale(options)
    check_normalisation(body.normalisation, len(body.responses), scale)
    answer = await caller.ask(item_of(body), options, body.deadline_s, asked_of(body))
    rewards = rewards_of(answer.verdict, body.normalisation, scale)
    return Json(group_rewards(answer, rewards, caller.model))


async def _of_groups(body: RewardGroups, caller: Caller) -> Response:
    options = options_of(body.options)
    scale = caller.scale(options)
    for group in body.groups:
        check_normalisation(body.normalisation, len(group.responses), scale)
    asked = [asked_of(group) for group in body.groups]
    answers = await caller.ask_all([item_of(group) for group in body.groups], options, body.deadline_s, asked)
    results = [_outcome(i, answer, body.normalisation, scale, caller.model) for i, answer in enumerate(answers)]
    return Json({"results": results, "failed": sum(result["error"] is not None for result in results)})


def _outcome(
    place: int, answer: Answer | SpctError, normalisation: Normalisation, scale: Scale | None, model: str
) -> dict[str, Any]:
    if isinstance(answer, SpctError):
        return entry(place, "rewards", answer)
    try:
        return entry(place, "rewards", group_rewards(answer, rewards_of(answer.verdict, normalisation, scale), model))
    except SpctError as error:
        return entry(place, "rewards", error)


async def _of_rollout(body: RewardRollout, caller: Caller) -> Response:
    check_normalisation(body.normalisation, 2, caller.scale())
    place = await caller.join(member_of(body), body.deadline_s, body.hold_s)
    rewards = place_rewards(place, body.normalisation, caller.scale())
    return Json(rollout_reward(place, rewards, caller.model))
