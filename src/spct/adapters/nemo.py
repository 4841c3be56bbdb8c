"""NeMo: the verdicts of a resources server of NeMo Gym, and of an environment of NeMo RL.

``GymReward.verify`` takes the JSON body of Gym's ``POST /verify`` (one rollout) and gives it back with its ``reward``;
``compare`` does the same for the body of ``genrm_compare``'s ``POST /compare`` (a whole group). ``RLReward`` takes NeMo RL's
message logs, a batch of whole conversations. All three are plain objects that import nothing of NeMo.

Failure rule: what has no reward raises. In a server of Gym (0.5 and later) it raises Gym's own ``JudgeError``, for which its
``judge_failsafe`` masks the sample; the 3.0 that ``genrm_compare`` puts in a missing score's place has no counterpart here.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar

from spct.adapters.source import RewardFrom, reward_source, rewards_each
from spct.adapters.texts import Query, grouped, key_of, query_of, response_of
from spct.aio import gather_all
from spct.errors import InputError, SpctError
from spct.items.conversation import response_from
from spct.items.messages import messages_of
from spct.items.values import plain
from spct.types import Message

Body = Mapping[str, Any]
T = TypeVar("T")
GYM_JUDGE = "nemo_gym.judge"


class GymReward:
    """Rewards in the shapes of NeMo Gym. ``group_size`` is ``num_repeats``, the rollouts of one task.

    A rollout's group is Gym's ``_ng_group_id`` and ``_ng_group_attempt`` where the caller sends them, and its member
    ``_ng_rollout_index``, so that a repeated request is no second member. Else it is what has the same task index,
    prompt and principles. ``run`` keeps trainings apart that share a service.
    """

    def __init__(
        self, judge: RewardFrom, *, group_size: int, run: str = "nemo-gym", normalisation: str = "mean", **source: Any
    ) -> None:
        self.source = reward_source(judge, **source)
        self._group_size, self._run, self._normalisation = group_size, run, normalisation

    async def verify(self, body: Body) -> dict[str, Any]:
        """The body with ``reward``, once its group is judged."""
        return {**body, "reward": await as_gym_does(self._reward(body))}

    async def _reward(self, body: Body) -> float:
        group, member = _coordinates(body)
        task = body.get("_ng_task_index", body.get("prompt_id"))
        reward = await self.source.arollout_reward(
            query_in(body),
            output_of(body["response"]),
            run=self._run if group is not None or task is None else f"{self._run}/{task}",
            group=group,
            size=self._group_size,
            member=member,
            normalisation=self._normalisation,
            principles=body.get("principle"),
        )
        return reward.reward

    async def compare(self, body: Body) -> dict[str, Any]:
        """``{"rewards": [...]}``, one for each of ``response_objs``."""
        return await as_gym_does(self._compare(body))

    async def _compare(self, body: Body) -> dict[str, Any]:
        rewards = await self.source.areward(
            query_of(list(body["conversation_history"])),
            [output_of(response) for response in body["response_objs"]],
            normalisation=self._normalisation,
            principles=body.get("principle"),
        )
        metrics = {"valid": float(rewards.valid), "invalid": float(rewards.invalid)}
        return {"rewards": list(rewards.rewards), "comparison_results": None, "metrics": metrics}


class RLReward:
    """Rewards for the ``step`` of a NeMo RL environment: what the policy added to each log is judged with those of its prompt.

    That is the last turn; or, with ``earlier_turns`` as the number of the assistant's turns that belong to the prompt (mostly
    0), everything from its next turn on, a trajectory where the environment went on with it. NeMo RL hands a batch to
    ``step`` at once, ``num_generations_per_prompt`` logs of a prompt among it; ``group_size`` keeps two groups of one
    prompt apart. With its asynchronous rollouts a batch is one log, so use GymReward there.
    """

    def __init__(
        self,
        judge: RewardFrom,
        *,
        group_size: int | None = None,
        normalisation: str = "mean",
        earlier_turns: int | None = None,
        run: str = "nemo-rl",
        **source: Any,
    ) -> None:
        self.source, self._run = reward_source(judge, **source), run
        self._group_size, self._normalisation, self._earlier = group_size, normalisation, earlier_turns

    async def rewards(self, message_logs: Sequence[Sequence[Body]], step: int | None = None) -> list[float]:
        """One reward per log, in their order. ``step`` is the trainer's, for metrics and the recording."""
        logs = [self._parted(log) for log in message_logs]
        found = [0.0] * len(logs)
        groups = grouped((key_of(prompt) for prompt, _ in logs), self._group_size)
        for group, rewards in zip(groups, await gather_all([self._judge(logs, g, step) for g in groups]), strict=True):
            for place, reward in zip(group, rewards, strict=True):
                found[place] = reward
        return found

    def _parted(self, log: Sequence[Body]) -> tuple[tuple[Message, ...], str]:
        turns = messages_of([{k: turn[k] for k in turn if k not in TENSORS} for turn in log], "a message log")
        spoken = [i for i, turn in enumerate(turns) if turn.role == "assistant"]
        own = spoken[-1:] if self._earlier is None else spoken[self._earlier :]
        if not own or own[0] == 0 or (self._earlier is None and own[0] < len(turns) - 1):
            raise InputError("a message log: expected a prompt, and an assistant's turn at its end")
        start = own[0]
        return turns[:start], response_from(turns[start:], "a message log")

    async def _judge(
        self, logs: Sequence[tuple[tuple[Message, ...], str]], group: Sequence[int], step: int | None
    ) -> list[float]:
        responses = [logs[place][1] for place in group]
        told = {"run": self._run, "step": step}
        _, rewards = await rewards_each(self.source, logs[group[0]][0], responses, self._normalisation, metadata=told)
        return rewards


TENSORS = ("token_ids", "token_loss_mask", "generation_logprobs")
"""What the turns of a message log hold beside their text."""


def query_in(body: Body) -> Query:
    """The prompt of a rollout: ``responses_create_params.input``, a text or items of the Responses API, with its tools."""
    asked = body["responses_create_params"]
    return query_of(asked["input"], asked.get("tools"))


def output_of(response: Body) -> str:
    """The answer in an object of the Responses API: its messages, tool calls and their outputs, without reasoning."""
    output = plain(response.get("output", ()))
    return response_of(output or "")


async def as_gym_does(work: Awaitable[T]) -> T:
    """The result of ``work``; in a process that runs NeMo Gym its failures are what Gym's ``judge_failsafe`` looks for."""
    try:
        return await work
    except SpctError as error:
        judge_error = getattr(sys.modules.get(GYM_JUDGE), "JudgeError", None)
        if judge_error is None:
            raise
        raise _both(type(error), judge_error)(str(error)) from error


def _both(ours: type[SpctError], gyms: type[Exception]) -> type[Exception]:
    """An error that is one of ours and one of Gym's."""
    return type(ours.__name__, (ours, gyms), {"__doc__": ours.__doc__})


def _coordinates(body: Body) -> tuple[str | None, str | None]:
    group, index = body.get("_ng_group_id"), body.get("_ng_rollout_index")
    if group is None:
        return None, None
    return f"{group}/{body.get('_ng_group_attempt', 0)}", None if index is None else str(index)
