"""verl: a custom reward function that judges a rollout jointly with the others of its prompt.

    reward.custom_reward_function.path=pkg://spct.adapters.verl
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.url=http://127.0.0.1:8000
    +reward.custom_reward_function.reward_kwargs.group_size=8

verl calls it once for every rollout, in any of ``reward.num_workers`` processes: hence the service, which gathers the group.
What verl 0.9 tells the function is the data set's ``extra_info`` and little more: neither the prompt nor the group. With
``spct.adapters.verl_manager`` as the reward manager both are there; without it the query is looked up in ``extra_info``,
and rollouts of one query are one group.

Failure rule: whatever goes wrong is raised, and ends verl's step; the rate-limited manager of verl turns it into 0.0, so
do not use that one.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from spct.adapters.source import RewardFrom, reward_source
from spct.adapters.texts import Query, query_of
from spct.client import RewardSource
from spct.errors import InputError

ComputeScore = Callable[..., Awaitable[dict[str, float]]]
QUERY_KEYS = ("raw_prompt", "prompt", "question", "problem")
"""Where the query is looked for in ``extra_info``, unless ``query_key`` says where it is."""

_clients: dict[tuple[str, str | None], RewardSource] = {}


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None,
    reward_router_address: str | None = None,
    reward_model_tokenizer: Any = None,
    *,
    url: str | None = None,
    key: str | None = None,
    patience_s: float = 300.0,
    **settings: Any,
) -> dict[str, float]:
    """The reward of one rollout from the service at ``url`` (or the environment's SPCT_URL).

    ``settings`` are those of ``rollout_score``. Raises SpctError.
    """
    address = url or os.environ.get("SPCT_URL")
    if not address:
        raise InputError("no reward service: set reward_kwargs.url, or SPCT_URL, to the address of spct serve")
    source = _clients.get((address, key))
    if source is None:
        source = _clients[address, key] = reward_source(address, key=key, patience_s=patience_s)
    return await rollout_score(source, solution_str, ground_truth, extra_info or {}, **settings)


def compute_score_by(judge: RewardFrom, *, source: Mapping[str, Any] | None = None, **settings: Any) -> ComputeScore:
    """A ``compute_score`` over ``judge``, for a reward file of one's own: ``compute_score = compute_score_by(grm)``.

    A GRM judges in process: use it with ``reward.num_workers=1``, since another process cannot see the group.
    """
    rewards = reward_source(judge, **(source or {}))

    async def compute_score(
        data_source: str,
        solution_str: str,
        ground_truth: Any,
        extra_info: Mapping[str, Any] | None,
        reward_router_address: str | None = None,
        reward_model_tokenizer: Any = None,
    ) -> dict[str, float]:
        return await rollout_score(rewards, solution_str, ground_truth, extra_info or {}, **settings)

    return compute_score


async def rollout_score(
    source: RewardSource,
    response: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any],
    *,
    group_size: int,
    run: str | None = None,
    normalisation: str = "mean",
    query_key: str | None = None,
    use_ground_truth: bool = False,
    validation_size: int = 1,
    validation_split: str = "test",
) -> dict[str, float]:
    """``{"score": reward, ...}`` as verl takes it; the other numbers end in verl's metrics.

    ``group_size`` is ``actor_rollout_ref.rollout.n``; rollouts whose ``extra_info.split`` is ``validation_split`` have
    groups of ``validation_size`` (``val_kwargs.n``) instead, gathered by their query: verl fills a validation batch up with
    repeated rows, whose rollouts would be members too many of a group by ``uid``. ``run`` keeps trainings apart that
    share a service.
    ``use_ground_truth`` shows the judge the data set's answer as its reference.
    """
    validating = extra_info.get("split") == validation_split
    uid = extra_info.get("uid")
    reward = await source.arollout_reward(
        query_in(extra_info, query_key),
        response,
        run=run or str(extra_info.get("experiment_name") or "verl"),
        group=None if uid is None or validating else str(uid),
        size=validation_size if validating else group_size,
        normalisation=normalisation,
        reference=str(ground_truth) if use_ground_truth and ground_truth else None,
    )
    return {
        "score": reward.reward,
        "members": float(reward.members),
        "valid": float(reward.valid),
        "invalid": float(reward.invalid),
    }


def query_in(extra_info: Mapping[str, Any], query_key: str | None) -> Query:
    """The query of a rollout. Raises InputError if it is not there."""
    for name in (query_key,) if query_key else QUERY_KEYS:
        found = extra_info.get(name)
        if found is not None:
            return query_of(found)
    raise InputError(
        f"extra_info has no {query_key or ', '.join(QUERY_KEYS)}: verl does not pass the prompt to a reward function; use "
        "the reward manager of spct.adapters.verl_manager, put the prompt into extra_info, or name its key as query_key"
    )
