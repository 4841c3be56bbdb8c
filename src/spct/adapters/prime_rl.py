"""prime-rl: a reward for the tasks of its environments, which are those of verifiers (v1).

    # my_rewards.py, plugged into a task as a reward function (``fn = "my_rewards:spct"``), or called from a ``@vf.reward``
    from spct.adapters.prime_rl import reward_by
    spct = reward_by("http://127.0.0.1:8000", group_size=8)

It is called with each rollout's task and trace: hence the service, which gathers those of one prompt. What is judged is all
that the policy did on the trace's last branch, its tools' results among it.

Failure rule: what has no reward raises, which verifiers records as the rollout's error. The shapes are those of verifiers 0.4
(``benchmarks/verifiers_trace.py`` holds them to its own classes); prime-rl itself was not run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from spct.adapters.source import RewardFrom, reward_source
from spct.errors import InputError
from spct.items.conversation import calls_in, query_of, response_from
from spct.items.messages import messages_of
from spct.items.values import as_reference, plain
from spct.types import Message

RewardFunction = Callable[[Any, Any], Awaitable[float]]


def reward_by(
    judge: RewardFrom,
    *,
    group_size: int,
    run: str = "prime-rl",
    normalisation: str = "mean",
    reference: str | None = None,
    **source: Any,
) -> RewardFunction:
    """A reward function (task, trace) -> reward; ``group_size`` is the rollouts of a prompt, ``reference`` a field of the task."""
    rewards = reward_source(judge, **source)

    async def spct(task: Any, trace: Any) -> float:
        query, response = parts_of(trace)
        told = await rewards.arollout_reward(
            query,
            response,
            run=run,
            size=group_size,
            member=str(trace.id),
            normalisation=normalisation,
            reference=None if reference is None else as_reference(getattr(task, reference, None)),
        )
        return told.reward

    return spct


def parts_of(trace: Any) -> tuple[tuple[Message, ...], str]:
    """The query of a trace and the policy's response to it: what it sampled, and what came between. Raises InputError."""
    nodes = trace.branches[-1].nodes if trace.branches else []
    start = next((i for i, node in enumerate(nodes) if node.sampled), 0)
    if not start:
        raise InputError("verifiers: a trace without a prompt and a turn that the policy sampled")
    said = [plain(node.message) for node in nodes]
    query = query_of(said[:start], "trace")
    return query, response_from(messages_of(said[start:], "trace", calls_in(query)), "trace")
