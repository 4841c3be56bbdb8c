"""Where an adapter's rewards come from: a judge in this process, or a reward service; both are asked the same way.

In process, rollouts are gathered by ``service.cohort`` as the service does it, so one process must see the whole group:
a trainer that computes rewards in several processes needs the service.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from spct.aio import LoopThread
from spct.client import GroupRewards, RewardClient, RolloutReward
from spct.client.values import Query, new_member, turns_of
from spct.errors import InputError, LoneMemberError
from spct.grm import GRM
from spct.items import parse_item
from spct.service.cohort import Cohorts, Lone
from spct.service.judges import grm_judges
from spct.service.member import CohortPlace, Member
from spct.service.rewards import COMPARING, Normalisation, Rewards, rewards_of
from spct.service.service import RewardService
from spct.types import Item

T = TypeVar("T")

GRMJudge = GRM | RewardService | RewardClient | str
"""What an adapter takes: a judge in this process, a client, or the address of a reward service."""

NO_LIMIT = 2**31
"""Callers that may wait in process: the trainer decides how many there are, so none is turned away."""


class RewardSource(Protocol):
    """What an adapter asks; the keyword arguments are those of ``RewardClient``."""

    async def areward(
        self,
        query: Query,
        responses: Sequence[str],
        *,
        normalisation: Any = "mean",
        reference: str | None = None,
        principles: str | None = None,
    ) -> GroupRewards:
        """One reward per response of a group."""
        ...

    async def arollout_reward(
        self,
        query: Query,
        response: str,
        *,
        run: str = "",
        group: str | None = None,
        size: int | None = None,
        member: str | None = None,
        normalisation: Any = "mean",
        reference: str | None = None,
        principles: str | None = None,
    ) -> RolloutReward:
        """The reward of one rollout, judged with its group."""
        ...

    async def aclose(self) -> None:
        """Close the connections, or free the engine."""
        ...

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``, which calls the methods above from plain code; always on the same loop."""
        ...

    def close(self) -> None:
        """``aclose`` from plain code, and the end of that loop."""
        ...


async def rewards_each(
    source: RewardSource, query: Query, responses: Sequence[str], normalisation: str, **given: str | None
) -> tuple[GroupRewards, list[float]]:
    """The group's rewards and one for each response; equal texts are judged once and get the same one.

    But where the reward itself compares the members of the group, all of them are judged as they are.
    """
    shown = list(responses) if normalisation in COMPARING else list(dict.fromkeys(responses))
    rewards = await source.areward(query, shown, normalisation=normalisation, **given)
    if len(shown) == len(responses):
        return rewards, list(rewards.rewards)
    by_text = dict(zip(shown, rewards.rewards, strict=True))
    return rewards, [by_text[response] for response in responses]


def reward_source(judge: GRMJudge, **options: Any) -> RewardSource:
    """The source behind ``judge``; ``options`` are those of RewardClient for an address, else of LocalRewards."""
    if isinstance(judge, str):
        return RewardClient(judge, **options)
    if isinstance(judge, GRM):
        service = RewardService(grm_judges(judge.engine, judge.meta), judge.settings, queue=NO_LIMIT)
        return LocalRewards(service, run=judge.run, **options)
    if isinstance(judge, RewardService):
        return LocalRewards(judge, **options)
    if not isinstance(judge, RewardClient):
        raise InputError(
            f"got a {type(judge).__name__}; expected a GRM, a RewardService, a RewardClient or the address of a service"
        )
    if options:
        raise InputError(f"a RewardClient has its own settings; drop {', '.join(sorted(options))}")
    return judge


class LocalRewards:
    """A service's rewards without HTTP. ``wait_s`` and ``lone`` are those of ``Cohorts``, for rollouts sent one by one.

    An engine belongs to one loop; ``run`` runs work on that of the engine's owner, where there is one.
    """

    def __init__(
        self,
        service: RewardService,
        *,
        wait_s: float = 60.0,
        lone: Lone = "judge",
        run: Callable[[Coroutine[Any, Any, Any]], Any] | None = None,
    ) -> None:
        self._service = service
        self._run = run
        self._thread = LoopThread()
        self._scale = service.judges.main.scale
        self._cohorts = Cohorts(service.judge, wait_s=wait_s, lone=lone)

    async def areward(
        self,
        query: Query,
        responses: Sequence[str],
        *,
        normalisation: Normalisation = "mean",
        reference: str | None = None,
        principles: str | None = None,
    ) -> GroupRewards:
        await self._service.start()
        answer = await self._service.ask(_item(query, responses, reference, principles))
        verdict = answer.verdict
        rewards = rewards_of(verdict, normalisation, self._scale)
        assert verdict.best is not None  # rewards_of has refused what has none
        return GroupRewards(
            id=verdict.id,
            model=self._service.model_id,
            source=answer.source,
            normalisation=normalisation,
            range=rewards.range,
            rewards=rewards.values,
            counts=verdict.valid_N,
            best=verdict.best,
            tied=verdict.tied,
            valid=verdict.valid,
            invalid=verdict.invalid,
            confidence=verdict.confidence,
        )

    async def arollout_reward(
        self,
        query: Query,
        response: str,
        *,
        run: str = "",
        group: str | None = None,
        size: int | None = None,
        member: str | None = None,
        normalisation: Normalisation = "mean",
        reference: str | None = None,
        principles: str | None = None,
    ) -> RolloutReward:
        await self._service.start()
        item = _item(query, [response], reference, principles)
        place = await self._cohorts.join(
            Member(
                run=run,
                query=item.messages,
                response=response,
                group=group,
                size=size,
                member=member or new_member(response),
                reference=item.reference,
                principles=item.principles,
            )
        )
        if place.members == 1 and normalisation in COMPARING:
            raise LoneMemberError(f"normalisation {normalisation!r} compares, and this rollout came alone")
        return self._reward_at(place, rewards_of(place.verdict, normalisation, self._scale, place.copies))

    async def aclose(self) -> None:
        await self._service.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._run is not None:
            result: T = self._run(work)
            return result
        return self._thread.run(work)

    def close(self) -> None:
        self.run(self.aclose())
        self._thread.stop()

    def _reward_at(self, place: CohortPlace, rewards: Rewards) -> RolloutReward:
        verdict = place.verdict
        return RolloutReward(
            reward=rewards.values[place.index],
            model=self._service.model_id,
            normalisation=rewards.normalisation,
            range=rewards.range,
            members=place.members,
            size=place.size,
            closed=place.closed,
            partial=place.partial,
            alone=place.alone,
            best=place.index == verdict.best,
            valid=verdict.valid,
            invalid=verdict.invalid,
        )


def _item(query: Query, responses: Sequence[str], reference: str | None, principles: str | None) -> Item:
    turns = turns_of(query)
    row: dict[str, Any] = {"prompt" if isinstance(turns, str) else "messages": turns, "responses": list(responses)}
    row |= {"reference": reference, "principles": principles}
    return replace(parse_item(row, where="this group"), id="")  # the service names it by its text
