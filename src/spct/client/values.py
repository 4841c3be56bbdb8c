"""What a reward service is asked and answers, as frozen values; the JSON of ``serve.wire`` without its pydantic.

Failure rule: an answer that lacks a field or holds something else than it should raises ReplyError; a reward is a finite
number that the service sent, or there is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from spct.errors import ReplyError
from spct.service.member import digest_of
from spct.types import ItemError, Judgment, Message, Problem, Usage

Query = str | Sequence[Mapping[str, Any] | Message]
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """A query and its n responses, to be judged jointly. ``query`` is a text or the turns of a conversation."""

    query: Query
    responses: Sequence[str]
    id: str | None = None
    reference: str | None = None
    principles: str | None = None


@dataclass(frozen=True, slots=True)
class ServedVerdict:
    """A verdict as the service gave it; fields as in ``spct.Verdict``, ``None`` where there is none and why in ``error``.

    ``source`` is "sampled", "shared" with an identical request under way, or "cached". ``judgments`` is None where
    they were not asked for.
    """

    id: str
    model: str
    source: str
    n: int
    k: int
    sampled: int
    valid: int
    invalid: int
    rule: str
    tie_rule: str
    best: int | None
    ranking: tuple[int, ...] | None
    totals: tuple[float, ...] | None
    means: tuple[float, ...] | None
    spread: tuple[float | None, ...] | None
    tied: tuple[int, ...]
    confidence: float | None
    error: ItemError | None
    usage: Usage
    judgments: tuple[Judgment, ...] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of item ``index`` of a batch: its verdict, or the error that a request of its own would have had."""

    index: int
    verdict: ServedVerdict | None
    error: ItemError | None


@dataclass(frozen=True, slots=True)
class GroupRewards:
    """``rewards[i]`` is that of response i, ``range`` the least and the greatest possible (None where none is stated)."""

    id: str
    model: str
    source: str
    normalisation: str
    range: tuple[float, float] | None
    rewards: tuple[float, ...]
    counts: tuple[int, ...]
    best: int
    tied: tuple[int, ...]
    valid: int
    invalid: int
    confidence: float | None


@dataclass(frozen=True, slots=True)
class RolloutReward:
    """The reward of one rollout. ``members`` had come when its group was judged, ``size`` were expected (None: unsaid).

    ``partial``: some were missing. ``alone``: there was nothing to compare with. ``best``: it has the highest reward.
    """

    reward: float
    model: str
    normalisation: str
    range: tuple[float, float] | None
    members: int
    size: int | None
    closed: str
    partial: bool
    alone: bool
    best: bool
    valid: int
    invalid: int


@dataclass(frozen=True, slots=True)
class RerankHit:
    """One document: its place in the request and its relevance, the mean score on 0..1."""

    index: int
    relevance: float


@dataclass(frozen=True, slots=True)
class Ready:
    """What the service says of itself: "ready" or "draining", its model, and how full its queue is."""

    status: str
    model: str
    running: int
    waiting: int
    capacity: int


def turns_of(query: Query) -> str | list[dict[str, Any]]:
    """A query as it travels."""
    if isinstance(query, str):
        return query
    return [{"role": turn.role, "content": turn.content} if isinstance(turn, Message) else dict(turn) for turn in query]


def body_of(group: Group) -> dict[str, Any]:
    """A group as it travels; what is None is left out."""
    body = {
        "id": group.id,
        "query": turns_of(group.query),
        "responses": list(group.responses),
        "reference": group.reference,
        "principles": group.principles,
    }
    return {key: value for key, value in body.items() if value is not None}


def new_member(response: str) -> str:
    """An id for a rollout that has none: new each time, and it sorts as its text does.

    A group is judged in the order of its members' ids; so its rewards depend on its texts and not on chance.
    """
    return digest_of(response) + uuid4().hex


def read_verdict(body: Json) -> ServedVerdict:
    with _shape("a verdict"):
        judgments = body["judgments"]
        return ServedVerdict(
            **{name: body[name] for name in _PLAIN},
            ranking=_tuple(body["ranking"]),
            totals=_tuple(body["totals"]),
            means=_tuple(body["means"]),
            spread=_tuple(body["spread"]),
            tied=tuple(body["tied"]),
            error=read_error_of(body["error"]),
            usage=Usage(**body["usage"]),
            judgments=None if judgments is None else tuple(_judgment(entry) for entry in judgments),
        )


def read_batch_result(body: Json) -> BatchResult:
    with _shape("a batch result"):
        verdict = body["verdict"]
        return BatchResult(
            body["index"], None if verdict is None else read_verdict(verdict), read_error_of(body["error"])
        )


def read_group_rewards(body: Json, n: int) -> GroupRewards:
    """Raises ReplyError unless there are n finite rewards."""
    with _shape("the rewards of a group"):
        rewards = tuple(finite(reward) for reward in body["rewards"])
        if len(rewards) != n:
            raise ReplyError(f"the service sent {len(rewards)} rewards for {n} responses")
        return GroupRewards(
            **{name: body[name] for name in _REWARDS},
            range=_range(body["range"]),
            rewards=rewards,
            counts=tuple(body["counts"]),
            tied=tuple(body["tied"]),
        )


def read_rollout_reward(body: Json) -> RolloutReward:
    with _shape("the reward of a rollout"):
        return RolloutReward(
            reward=finite(body["reward"]), range=_range(body["range"]), **{name: body[name] for name in _ROLLOUT}
        )


def read_rerank(body: Json) -> tuple[RerankHit, ...]:
    with _shape("a ranking"):
        return tuple(RerankHit(hit["index"], finite(hit["relevance_score"])) for hit in body["results"])


def read_scores(body: Json, n: int) -> tuple[float, ...]:
    with _shape("scores"):
        by_index = {entry["index"]: finite(entry["score"]) for entry in body["data"]}
        return tuple(by_index[index] for index in range(n))


def read_ready(body: Json) -> Ready:
    with _shape("its readiness"):
        return Ready(body["status"], body["model"], body["running"], body["waiting"], body["capacity"])


def read_error_of(body: Json | None) -> ItemError | None:
    return None if body is None else ItemError(str(body["type"]), str(body["message"]))


def finite(value: object) -> float:
    """A reward: a finite number and nothing that could pass for one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ReplyError(f"the service sent {value!r} as a reward; expected a finite number")
    return float(value)


_PLAIN = "id model source n k sampled valid invalid rule tie_rule best confidence".split()
_REWARDS = "id model source normalisation best valid invalid confidence".split()
_ROLLOUT = "model normalisation members size closed partial alone best valid invalid".split()


class _shape:  # noqa: N801
    """Turns a missing or misshapen field inside the block into ReplyError."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (KeyError, TypeError, AttributeError, ValueError)) and not isinstance(error, ReplyError):
            raise ReplyError(
                f"the service answers with something that is not {self._what} ({type(error).__name__}: {error}); "
                "is it spct serve of the same version?"
            ) from error


def _tuple(values: Sequence[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)


def _range(values: Sequence[Any] | None) -> tuple[float, float] | None:
    if values is None:
        return None
    low, high = values
    return finite(low), finite(high)


def _judgment(body: Json) -> Judgment:
    problem = body["problem"]
    return Judgment(
        index=body["index"],
        order=tuple(body["order"]),
        seed=body["seed"],
        text=body["text"],
        finish_reason=body["finish_reason"],
        scores=_tuple(body["scores"]),
        problem=None if problem is None else Problem(problem["code"], problem["detail"]),
        expected=_tuple(body["expected"]),
        attempt=body["attempt"],
        block=body["block"],
        reasoning=body["reasoning"],
    )
