"""slime: a custom reward model that judges the samples of a prompt jointly.

    --custom-rm-path my_rewards.reward --group-rm        # my_rewards.py: reward = reward_by("http://127.0.0.1:8000")
    --custom-rm-path spct.adapters.slime.reward --group-rm     # the service that SPCT_URL names

With ``--group-rm`` slime hands over a whole group. Without it (as for its evaluations) samples come one by one, and are gathered
by their ``group_index`` until ``n_samples_per_prompt`` are there; that takes the service, or all of them in one process.

Failure rule: what has no reward raises, and ends slime's rollout. The shapes are those of slime's sources in 2026 (``Sample``:
prompt, response, label, index, group_index, metadata with its tools); no code of its own was run.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from spct.adapters.source import RewardFrom, reward_source, rewards_each
from spct.adapters.texts import grouped, key_of, query_of
from spct.aio import gather_all
from spct.errors import InputError
from spct.items.values import as_reference, plain
from spct.service.joined import END_OF_RESPONSE, response_in

Reward = Callable[..., Awaitable[float | list[float]]]


def reward_by(
    judge: RewardFrom,
    *,
    run: str = "slime",
    normalisation: str = "mean",
    use_label: bool = False,
    end_of_response: Sequence[str] = END_OF_RESPONSE,
    **source: Any,
) -> Reward:
    """A function for ``--custom-rm-path``: (args, sample or samples) -> a reward, or as many.

    ``use_label`` shows the judge the sample's label as its reference. ``end_of_response`` are the special tokens that end a
    response and are no part of it: slime leaves them there.
    """
    rewards = reward_source(judge, **source)

    def asked(sample: Any) -> tuple[Any, str, str | None]:
        if isinstance(sample, (list, tuple)):
            raise InputError("slime: a rollout of several samples; expected one sample for each, without a fan-out")
        reference = as_reference(sample.label) if use_label else None
        query = query_of(sample.prompt, (getattr(sample, "metadata", None) or {}).get("tools"))
        return query, response_in(sample.response, "", end_of_response), reference

    async def of_group(samples: Sequence[Any]) -> list[float]:
        told = [asked(sample) for sample in samples]
        found = [0.0] * len(told)
        groups = grouped(key_of(sample.group_index, plain(sample.prompt)) for sample in samples)

        async def judged(group: Sequence[int]) -> list[float]:
            query, _, reference = told[group[0]]
            responses = [told[place][1] for place in group]
            _, values = await rewards_each(
                rewards, query, responses, normalisation, reference=reference, metadata={"run": run}
            )
            return values

        for group, values in zip(groups, await gather_all([judged(group) for group in groups]), strict=True):
            for place, value in zip(group, values, strict=True):
                found[place] = value
        return found

    async def reward(args: Any, sample: Any, **_: Any) -> float | list[float]:
        if isinstance(sample, (list, tuple)):
            return await of_group(sample)
        query, response, reference = asked(sample)
        group = None if sample.group_index is None else str(sample.group_index)
        told = await rewards.arollout_reward(
            query,
            response,
            run=run,
            group=group,
            size=args.n_samples_per_prompt,
            member=None if group is None or sample.index is None else str(sample.index),
            normalisation=normalisation,
            reference=reference,
        )
        return told.reward

    return reward


_of_environment: list[Reward] = []


async def reward(args: Any, sample: Any, **more: Any) -> float | list[float]:
    """``reward_by`` of the service whose address is the environment's SPCT_URL. Raises SpctError."""
    if not _of_environment:
        if not (address := os.environ.get("SPCT_URL")):
            raise InputError("no reward service: set SPCT_URL to the address of spct serve")
        _of_environment.append(reward_by(address))
    return await _of_environment[0](args, sample, **more)
