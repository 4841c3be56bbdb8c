"""Where an adapter's rewards come from: a judge in this process, or a reward service; both are asked the same way.

In process, rollouts are gathered by ``service.cohort`` as the service does it, so one process must see the whole group:
a trainer that computes rewards in several processes needs the service.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from spct.client import GroupRewards, RewardClient, RewardSource
from spct.client.rewards import Query
from spct.errors import InputError, NoVerdictError
from spct.grm import GRM
from spct.run.asks import Asked
from spct.service.cohort import Cohorts, Lone
from spct.service.judges import grm_judges
from spct.service.rewards import check_normalisation, place_rewards, rewards_of
from spct.service.service import RewardService
from spct.types import Item
from spct.voting.verdict import Verdict
from spct.wire.answers import group_rewards, rollout_reward
from spct.wire.asked import asked_of, item_of, member_of, options_of
from spct.wire.parts import In, Told
from spct.wire.reward import RewardGroup, RewardRollout

RewardFrom = GRM | RewardService | RewardClient | str
"""What an adapter takes: a judge in this process, a client, or the address of a reward service."""

NO_LIMIT = 2**31
"""Callers that may wait in process: the trainer decides how many there are, so none is turned away."""


async def rewards_each(
    source: RewardSource,
    query: Query,
    responses: Sequence[str],
    normalisation: str,
    *,
    criterion: str | None = None,
    **given: Any,
) -> tuple[GroupRewards, list[float]]:
    """The group's rewards and one for each response; equal texts are shown to the judge once and get the same one.

    With ``criterion`` the reward is what a response has of that criterion of the rubric. Raises NoVerdictError where it is
    missing.
    """
    rewards = await source.areward(query, responses, normalisation=normalisation, **given)
    return rewards, list(rewards.rewards if criterion is None else _of_criterion(rewards, criterion))


def _of_criterion(rewards: GroupRewards, criterion: str) -> list[float]:
    if rewards.by_criterion is None:
        raise InputError(f"criterion {criterion!r}: the judge judges by no rubric; start it with --rubric FILE")
    if any(criterion not in found for found in rewards.by_criterion):
        known = ", ".join(rewards.by_criterion[0]) or "none"
        raise NoVerdictError(f"no reward: criterion {criterion!r} has no valid answer (there are: {known})")
    return [found[criterion] for found in rewards.by_criterion]


def reward_source(judge: RewardFrom, **options: Any) -> RewardSource:
    """The source behind ``judge``; ``options`` are those of RewardClient for an address, else of LocalRewards."""
    if isinstance(judge, str):
        return RewardClient(judge, **options)
    if isinstance(judge, (GRM, RewardService)):
        return LocalRewards(judge, **options)
    if not isinstance(judge, RewardClient):
        raise InputError(
            f"got a {type(judge).__name__}; expected a GRM, a RewardService, a RewardClient or the address of a service"
        )
    if options:
        raise InputError(f"a RewardClient has its own settings; drop {', '.join(sorted(options))}")
    return judge


_SERVICES: WeakKeyDictionary[GRM, tuple[int, RewardService]] = WeakKeyDictionary()
"""The service over each GRM, and the process that it is for."""


def _service_over(judge: GRM) -> RewardService:
    """One service for all rewards by a GRM, so that a group is judged once for all of them."""
    made_by, service = _SERVICES.get(judge, (0, None))
    if service is None or service.draining or made_by != os.getpid():
        service = RewardService(grm_judges(judge.engine, judge.meta), judge.settings, queue=NO_LIMIT)
        _SERVICES[judge] = os.getpid(), service
    return service


class LocalRewards(RewardSource):
    """A judge's rewards without HTTP. ``wait_s`` and ``lone`` are those of ``Cohorts``, for rollouts sent one by one.

    An engine belongs to one loop: that of the GRM, where the judge is one. ``hold_s`` means nothing here, since no request
    is held open. A copy, and what a forked process has of it, judges with a GRM of its own (``GRM.renew``).
    """

    def __init__(self, judge: GRM | RewardService, *, wait_s: float = 60.0, lone: Lone = "judge") -> None:
        super().__init__(judge.thread if isinstance(judge, GRM) else None)
        self._made = partial(LocalRewards, judge, wait_s=wait_s, lone=lone)
        self._judge, self._wait_s, self._lone = judge, wait_s, lone
        self._used_by: int | None = None
        self._open()

    def _open(self) -> None:
        self._service = _service_over(self._judge) if isinstance(self._judge, GRM) else self._judge
        self._cohorts = Cohorts(self._judge_group, wait_s=self._wait_s, lone=self._lone)

    async def _judge_group(self, item: Item, asked: Asked) -> Verdict:
        return (await self._service.ask(item, asked=asked)).verdict

    def _renew(self) -> None:
        """Judge with what is this process's own, in one that was forked off from one that used this. Raises InputError."""
        if isinstance(self._judge, GRM):
            self._judge.renew()
            if self._service is not _service_over(self._judge):
                self._open()
        elif self._used_by not in (None, os.getpid()):
            raise InputError("a RewardService cannot be used on both sides of a fork: give its address to one of them")
        self._used_by = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        return self._made, ()

    async def ask(self, path: str, asked: In, kind: type[Told]) -> Told:
        self._renew()
        await self._service.start()
        if isinstance(asked, RewardGroup):
            return kind(**await self._of_group(asked))
        if isinstance(asked, RewardRollout):
            return kind(**await self._of_rollout(asked))
        raise InputError(f"{path} is for spct serve only; a judge in this process gives rewards")

    async def _of_group(self, asked: RewardGroup) -> dict[str, Any]:
        options = options_of(asked.options)
        scale = self._service.judges.of(options).scale
        check_normalisation(asked.normalisation, len(asked.responses), scale)
        answer = await self._service.ask(item_of(asked), options, deadline_s=asked.deadline_s, asked=asked_of(asked))
        rewards = rewards_of(answer.verdict, asked.normalisation, scale)
        return group_rewards(answer, rewards, self._service.model_id)

    async def _of_rollout(self, asked: RewardRollout) -> dict[str, Any]:
        scale = self._service.judges.main.scale
        check_normalisation(asked.normalisation, 2, scale)
        place = await self._cohorts.join(member_of(asked), asked.deadline_s)
        return rollout_reward(place, place_rewards(place, asked.normalisation, scale), self._service.model_id)

    async def aclose(self) -> None:
        """Free the engine."""
        await self._service.close()
