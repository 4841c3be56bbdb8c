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
from spct.grm import GRM
from spct.items.values import absent, as_reference, plain

ComputeScore = Callable[..., Awaitable[dict[str, float]]]
QUERY_KEYS = ("raw_prompt", "prompt", "question", "problem")
"""Where the query is looked for in ``extra_info``, unless ``query_key`` says where it is."""

_sources: dict[tuple[str, str | None, str], RewardSource] = {}


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
    judge_name: str | None = None,
    patience_s: float = 300.0,
    judge_model: str | None = None,
    judge: Mapping[str, Any] | None = None,
    **settings: Any,
) -> dict[str, float]:
    """The reward of one rollout from the service at ``url`` (or the environment's SPCT_URL), of its judge ``judge_name``.

    Without one the judge is the generative reward model that verl serves behind ``reward_router_address``: ``judge_model`` is
    its name there, by default that of its tokenizer, and ``judge`` holds settings of a GRM. It judges in this process, so
    ``reward.num_workers`` must be 1. ``settings`` are those of ``rollout_score``. Raises SpctError.
    """
    address = url or os.environ.get("SPCT_URL")
    if address:
        made = (address, key, judge_name or "")
        source = _sources.get(made) or reward_source(address, key=key, judge_name=judge_name, patience_s=patience_s)
    elif reward_router_address:
        model = judge_model or getattr(reward_model_tokenizer, "name_or_path", None)
        if not model:
            raise InputError(
                "verl names no reward model: set reward_kwargs.judge_model to the name that it is served under"
            )
        made = (reward_router_address, model, repr(judge))
        source = _sources.get(made) or _behind(reward_router_address, model, judge or {})
    else:
        raise InputError(
            "no judge: set reward_kwargs.url (or SPCT_URL) to the address of spct serve, or let verl serve a generative "
            "reward model (reward.reward_model.enable=True)"
        )
    _sources[made] = source
    return await rollout_score(source, solution_str, ground_truth, extra_info or {}, **settings)


def _behind(router: str, model: str, judge: Mapping[str, Any]) -> RewardSource:
    """A judge in this process over the reward model that verl itself serves."""
    address = router if "://" in router else f"http://{router}"
    return reward_source(GRM(f"openai:{model}", base_url=f"{address.rstrip('/').removesuffix('/v1')}/v1", **judge))


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
    share a service; in its metrics and recording validation is a run of its own, ``run/validation``.
    ``use_ground_truth`` shows the judge the data set's answer as its reference.
    """
    validating = extra_info.get("split") == validation_split
    uid, step = extra_info.get("uid"), plain(extra_info.get("global_steps"))
    run = run or str(extra_info.get("experiment_name") or "verl")
    told = {
        "run": f"{run}/validation" if validating else run,
        "step": step if isinstance(step, int) and step >= 0 else None,
    }
    reward = await source.arollout_reward(
        query_in(extra_info, query_key),
        response,
        run=run,
        group=None if uid is None or validating else str(uid),
        size=validation_size if validating else group_size,
        normalisation=normalisation,
        reference=as_reference(ground_truth) if use_ground_truth else None,
        metadata=told,
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
        found = plain(extra_info.get(name))
        if not absent(found):
            return query_of(found)
    raise InputError(
        f"extra_info has no {query_key or ', '.join(QUERY_KEYS)}: verl does not pass the prompt to a reward function; use "
        "the reward manager of spct.adapters.verl_manager, put the prompt into extra_info, or name its key as query_key"
    )
