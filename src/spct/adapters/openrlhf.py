"""OpenRLHF: a reward file for ``--reward.remote_url reward.py``.

    from spct.adapters.openrlhf import reward_func_by
    reward_func = reward_func_by("http://127.0.0.1:8000", group_size=8)

Simpler is no file at all: ``--reward.remote_url http://127.0.0.1:8000/...``, the service's own endpoint. OpenRLHF calls a
file's function in a pool of threads, one rollout each, and a thread waits until its group is judged: a group must fit the
pool. What the function raises is logged by OpenRLHF and leaves the rollout without a reward; nothing is put in its place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from spct.adapters.source import RewardFrom, reward_source
from spct.errors import InputError
from spct.items.values import as_reference
from spct.service.joined import END_OF_RESPONSE, response_in

RewardFunc = Callable[[Sequence[str], Sequence[str], Sequence[Any]], dict[str, Any]]


def rule_reward_func(compute_score: Callable[..., dict[str, float]], end_of_response: Sequence[str]) -> RewardFunc:
    """A ``reward_func`` over a rule-based reward, for ``spct train rl --to openrlhf``; a label is what the rule needs.

    OpenRLHF does not say how a rollout ended: it was cut off where nothing of ``end_of_response`` follows its text.
    """

    def one(query: str, prompt: str, label: str) -> dict[str, float]:
        text = response_in(query, prompt, end_of_response)
        ended = len(prompt) + len(text) < len(query)
        return compute_score("", text, label, {"finish": "stop" if ended else "length"})

    def reward_func(queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any]) -> dict[str, Any]:
        found = [one(*row) for row in zip(queries, prompts, labels, strict=True)]
        logs = {name: [told[name] for told in found] for name in ("acc", "tied", "invalid")}
        return {"rewards": [told["score"] for told in found], "scores": logs["acc"], "extra_logs": logs}

    return reward_func


def reward_func_by(
    judge: RewardFrom,
    *,
    group_size: int,
    run: str = "openrlhf",
    normalisation: str = "mean",
    use_label: bool = False,
    end_of_response: Sequence[str] = END_OF_RESPONSE,
    **source: Any,
) -> RewardFunc:
    """A ``reward_func(queries, prompts, labels)``; ``group_size`` is ``--rollout.n_samples_per_prompt``.

    ``use_label`` shows the judge the data set's label as its reference. ``end_of_response`` are the special tokens that
    end a response and are no part of it. Raises InputError for a group that does not fit the pool of threads.
    """
    pool = min(32, (os.cpu_count() or 1) + 4)  # asyncio.to_thread's
    if group_size > pool:
        raise InputError(
            f"group_size is {group_size}, and OpenRLHF runs this in {pool} threads: no group would ever be full; pass the "
            "service's address as --reward.remote_url instead"
        )
    rewards = reward_source(judge, **source)

    async def one(query: str, prompt: str, label: Any) -> tuple[float, float]:
        reward = await rewards.arollout_reward(
            prompt,
            response_in(query, prompt, end_of_response),
            run=run,
            size=group_size,
            normalisation=normalisation,
            reference=as_reference(label) if use_label else None,
        )
        return reward.reward, float(reward.members)

    def reward_func(queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any]) -> dict[str, Any]:
        found = [rewards.run(one(*row)) for row in zip(queries, prompts, labels, strict=True)]
        scores = [reward for reward, _ in found]
        return {"rewards": scores, "scores": scores, "extra_logs": {"members": [members for _, members in found]}}

    return reward_func
