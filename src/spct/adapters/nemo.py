"""NeMo: the verdicts of a resources server of NeMo Gym, and of an environment of NeMo RL.

``GymReward.verify`` takes the JSON body of Gym's ``POST /verify`` (one rollout) and gives it back with its ``reward``;
``compare`` does the same for the body of ``genrm_compare``'s ``POST /compare`` (a whole group). ``RLReward`` takes NeMo RL's
message logs, a batch of whole conversations. All three are plain objects that import nothing of NeMo.

Failure rule: what has no reward raises. Gym's servers answer that with an error, and its own ``judge_failsafe`` masks the
sample; the 3.0 that ``genrm_compare`` puts in a missing score's place has no counterpart here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spct.adapters.source import RewardFrom, reward_source, rewards_each
from spct.adapters.texts import grouped, key_of, query_of
from spct.aio import gather_all
from spct.errors import InputError
from spct.types import Message

Body = Mapping[str, Any]


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
        group, member = _coordinates(body)
        task = body.get("_ng_task_index", body.get("prompt_id"))
        reward = await self.source.arollout_reward(
            query_in(body),
            output_text(body["response"]),
            run=self._run if group is not None or task is None else f"{self._run}/{task}",
            group=group,
            size=self._group_size,
            member=member,
            normalisation=self._normalisation,
            principles=body.get("principle"),
        )
        return {**body, "reward": reward.reward}

    async def compare(self, body: Body) -> dict[str, Any]:
        """``{"rewards": [...]}``, one for each of ``response_objs``."""
        rewards = await self.source.areward(
            query_of(list(body["conversation_history"])),
            [output_text(response) for response in body["response_objs"]],
            normalisation=self._normalisation,
            principles=body.get("principle"),
        )
        metrics = {"valid": float(rewards.valid), "invalid": float(rewards.invalid)}
        return {"rewards": list(rewards.rewards), "comparison_results": None, "metrics": metrics}


class RLReward:
    """Rewards for the ``step`` of a NeMo RL environment: the last turn of each log is judged with the logs of its prompt.

    NeMo RL hands a batch to ``step`` at once, ``num_generations_per_prompt`` logs of a prompt among it; ``group_size``
    keeps two groups of one prompt apart. With its asynchronous rollouts a batch is one log, so use GymReward there.
    """

    def __init__(
        self, judge: RewardFrom, *, group_size: int | None = None, normalisation: str = "mean", **source: Any
    ) -> None:
        self.source = reward_source(judge, **source)
        self._group_size, self._normalisation = group_size, normalisation

    async def rewards(self, message_logs: Sequence[Sequence[Body]]) -> list[float]:
        """One reward per log, in their order."""
        logs = [tuple(_turn(turn) for turn in log) for log in message_logs]
        if any(len(log) < 2 or log[-1].role != "assistant" for log in logs):
            raise InputError("a message log: expected a prompt, and an assistant's turn at its end")
        found = [0.0] * len(logs)
        groups = grouped((key_of(log[:-1]) for log in logs), self._group_size)
        for group, rewards in zip(groups, await gather_all([self._judge(logs, g) for g in groups]), strict=True):
            for place, reward in zip(group, rewards, strict=True):
                found[place] = reward
        return found

    async def _judge(self, logs: Sequence[tuple[Message, ...]], group: Sequence[int]) -> list[float]:
        responses = [logs[place][-1].content for place in group]
        _, rewards = await rewards_each(self.source, logs[group[0]][:-1], responses, self._normalisation)
        return rewards


def query_in(body: Body) -> str | tuple[Message, ...]:
    """The prompt of a rollout: ``responses_create_params.input``, a text or items of the Responses API."""
    turns = body["responses_create_params"]["input"]
    if isinstance(turns, str):
        return turns
    kept = [turn for turn in turns if turn.get("type", "message") == "message"]
    if len(kept) != len(turns):
        raise InputError("the prompt holds items that are no messages (tool calls, images); only text can be judged")
    return tuple(Message(_role(turn["role"]), _text(turn["content"])) for turn in kept)


def output_text(response: Body) -> str:
    """The answer in an object of the Responses API: the text of its messages, without reasoning and tool calls."""
    messages = [item for item in response.get("output", ()) if item.get("type") == "message"]
    return "\n".join(_text(item["content"]) for item in messages)


def _coordinates(body: Body) -> tuple[str | None, str | None]:
    group, index = body.get("_ng_group_id"), body.get("_ng_rollout_index")
    if group is None:
        return None, None
    return f"{group}/{body.get('_ng_group_attempt', 0)}", None if index is None else str(index)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = [part.get("text") for part in content if part.get("type") in ("input_text", "output_text", "text")]
    if len(parts) != len(content) or not all(isinstance(part, str) for part in parts):
        raise InputError("a message holds parts that are not text; only text can be judged")
    return "".join(parts)


def _turn(turn: Body) -> Message:
    return Message(_role(turn["role"]), _text(turn["content"]))


def _role(role: str) -> Any:
    return "system" if role == "developer" else role
