"""Rewards by the requests of ``spct.wire``, asked of a service over HTTP or of a judge in this process alike.

Failure rule: what is asked is checked before it is sent, and raises InputError; a reward is a finite number that the judge
gave, or there is none and an error says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

from pydantic import ValidationError

from spct.aio import OwnLoop
from spct.errors import InputError, ReplyError
from spct.items.conversation import listed, response_of, response_row
from spct.items.messages import messages_of, turn_row
from spct.items.values import plain
from spct.service.member import digest_of
from spct.types import Message
from spct.wire.parts import In, Told, faults_of
from spct.wire.reward import GroupRewards, RewardGroup, RewardRollout, RolloutReward

Query = str | Sequence[Mapping[str, Any] | Message]
Response = str | Mapping[str, Any] | Sequence[Mapping[str, Any] | Message]
Asked = TypeVar("Asked", bound=In)


class RewardSource(OwnLoop):
    """What gives rewards. ``ask`` is what the sources differ in.

    As with a GRM: the plain methods run on a loop of their own in a background thread, the ``a...`` methods on the
    caller's; use one kind or the other per object. ``judge_name`` is which judge of a service is asked, its default one if None.
    """

    judge_name: str | None = None

    async def ask(self, path: str, asked: In, kind: type[Told]) -> Told:
        """The answer to a request for ``path``. Raises SpctError."""
        raise NotImplementedError

    async def areward(
        self,
        query: Query,
        responses: Sequence[Response],
        *,
        normalisation: str = "mean",
        tools: Sequence[Mapping[str, Any]] | None = None,
        reference: str | None = None,
        principles: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        deadline_s: float | None = None,
        **options: Any,
    ) -> GroupRewards:
        """One reward per response of a group. A group without a verdict is an error, never a reward.

        ``tools`` are the definitions of those that the responses could call. ``metadata`` (run, step, rollout) is recorded with
        the request and counted by its run. ``options`` are the fields of
        ``spct.wire.parts.Options`` (k, seed, ...).
        """
        asked = request(
            RewardGroup,
            query=turns_of(query),
            responses=response_rows(responses),
            tools=plain(tools),
            reference=reference,
            principles=principles,
            metadata=metadata,
            judge=self.judge_name,
            normalisation=normalisation,
            options=options,
            deadline_s=deadline_s,
        )
        told = await self.ask("v1/reward", asked, GroupRewards)
        if len(told.rewards) != len(asked.responses):
            raise ReplyError(f"the service sent {len(told.rewards)} rewards for {len(asked.responses)} responses")
        return told

    async def arollout_reward(
        self,
        query: Query,
        response: Response,
        *,
        run: str = "",
        group: str | None = None,
        size: int | None = None,
        member: str | None = None,
        normalisation: str = "mean",
        tools: Sequence[Mapping[str, Any]] | None = None,
        reference: str | None = None,
        principles: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        deadline_s: float | None = None,
        hold_s: float | None = None,
    ) -> RolloutReward:
        """The reward of one rollout, judged with the others of its group when ``size`` of them are there.

        ``run`` keeps trainings apart; without ``group``, rollouts of one query and size are gathered. ``member`` names
        the rollout, so that asking again is no second member; one made here holds for the tries of this call. ``metadata`` may
        say the ``step`` of the trainer, and a ``run`` and a ``rollout`` other than those. With
        ``hold_s`` no request stays open longer than that; the rollout is asked for again until its group is judged.
        """
        said = response_of(plain(response), "response")
        asked = request(
            RewardRollout,
            query=turns_of(query),
            response=response_row(said),
            group={"run": run, "id": group, "size": size, "member": member or new_member(said)},
            tools=plain(tools),
            reference=reference,
            principles=principles,
            metadata=metadata,
            judge=self.judge_name,
            normalisation=normalisation,
            deadline_s=deadline_s,
            hold_s=hold_s,
        )
        return await self.ask("v1/reward", asked, RolloutReward)

    def reward(self, query: Query, responses: Sequence[Response], **given: Any) -> GroupRewards:
        """Like ``areward``, from plain code."""
        return self.run(self.areward(query, responses, **given))

    def rollout_reward(self, query: Query, response: Response, **given: Any) -> RolloutReward:
        """Like ``arollout_reward``, from plain code."""
        return self.run(self.arollout_reward(query, response, **given))


def request(kind: type[Asked], **fields: Any) -> Asked:
    """A request of ``spct.wire``. Raises InputError."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise InputError(f"the request cannot be sent: {faults_of(error)}") from error


def turns_of(query: Query) -> str | list[dict[str, Any]]:
    """A query as it travels. Raises InputError for turns that cannot be read."""
    if isinstance(query, str) or not isinstance(query, Sequence):
        return query  # what is no query is refused with the request
    return [turn_row(turn) for turn in messages_of(plain(query), "query")]


def response_rows(responses: Sequence[Response], where: str = "responses") -> list[str | list[dict[str, Any]]]:
    """Responses as they travel. Raises InputError for what cannot be read."""
    return [response_row(response_of(plain(said), f"{where}[{i}]")) for i, said in enumerate(listed(responses, where))]


def new_member(response: str) -> str:
    """An id for a rollout that has none: new each time, and it sorts as its text does.

    A group is judged in the order of its members' ids; so its rewards depend on its texts and not on chance.
    """
    return digest_of(response) + uuid4().hex
