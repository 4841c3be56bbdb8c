"""What the routes of one server share: the service, its cohorts, its limits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from spct.errors import DrainingError, SpctError
from spct.serve.limits import Limits
from spct.service.cohort import Cohorts
from spct.service.holding import Holding
from spct.service.member import CohortPlace, Member, joint_item
from spct.service.options import NO_OPTIONS, JudgeOptions
from spct.service.rewards import Scale, rewards_of
from spct.service.service import Answer, Answers, RewardService
from spct.types import Item
from spct.voting.verdict import Verdict

DRAIN_LOOK_S = 0.02


@dataclass(slots=True)
class ServerState:
    """``draining`` refuses what is new; ``active`` counts the requests being answered."""

    service: RewardService
    limits: Limits = field(default_factory=Limits)
    cohort_wait_s: float = 60.0
    max_open: int = 4096
    draining: bool = False
    active: int = 0
    cohorts: Cohorts = field(init=False)
    holding: Holding = field(init=False)

    def __post_init__(self) -> None:
        self.cohorts = Cohorts(
            partial(_verdict_of, self.service),
            wait_s=self.cohort_wait_s,
            max_open=self.max_open,
            max_size=self.limits.n,
        )
        self.holding = Holding(self.cohorts)

    @property
    def model(self) -> str:
        """The model as callers are told it."""
        return shown_model(self.service.model_id)

    async def ask(self, item: Item, options: JudgeOptions = NO_OPTIONS, deadline_s: float | None = None) -> Answer:
        """The answer to one item. Raises SpctError."""
        self._check(options)
        self.limits.check_item(item)
        return await self.service.ask(item, options, deadline_s=deadline_s)

    def ask_each(
        self, items: Sequence[Item], options: JudgeOptions = NO_OPTIONS, deadline_s: float | None = None
    ) -> Answers:
        """The answers to several items as they come. Raises SpctError for what keeps all from being judged."""
        self._check(options)
        self.limits.check_items(items)
        return self.service.ask_each(items, options, deadline_s=deadline_s)

    async def ask_all(
        self, items: Sequence[Item], options: JudgeOptions = NO_OPTIONS, deadline_s: float | None = None
    ) -> list[Answer | SpctError]:
        """The answers in the order of the items."""
        async with self.ask_each(items, options, deadline_s) as answers:
            found = {place: answer async for place, answer in answers}
        return [found[place] for place in range(len(items))]

    async def join(self, member: Member, deadline_s: float | None = None, hold_s: float | None = None) -> CohortPlace:
        """The place of a rollout in its group. Raises SpctError."""
        self.limits.check_item(joint_item([member]))
        if hold_s is not None:
            return await self.holding.join(member, hold_s=hold_s)
        limit_s = self.cohort_wait_s + self.service.deadline_s
        return await self.cohorts.join(member, limit_s if deadline_s is None else min(deadline_s, limit_s))

    def _check(self, options: JudgeOptions) -> None:
        self.limits.check_options(options)
        if self.draining:
            raise DrainingError("the service is stopping and accepts nothing new; ask again when it is back", 2.0)

    def scale(self, options: JudgeOptions = NO_OPTIONS) -> Scale | None:
        """The least and the greatest score of the judge with these options."""
        return self.service.judges.of(options).scale

    def relevance(self, verdict: Verdict) -> tuple[float, ...]:
        """Rewards for clients that expect relevance: on 0..1, or plain means where the judge states no scale."""
        scale = self.scale()
        return rewards_of(verdict, "mean" if scale is None else "unit", scale).values

    async def drain(self, timeout_s: float) -> bool:
        """Refuse what is new and wait until all that was accepted is answered; False if that takes too long.

        Rollouts whose group is open already are still taken, so that it is judged whole; when half the time is over, groups
        that wait are judged as they are.
        """
        self.draining = True
        self.cohorts.refuse_new()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while self.active or self.cohorts.open or self.holding.held:
            passed = loop.time() - begun
            if passed >= timeout_s:
                return False
            if passed >= timeout_s / 2:
                self.cohorts.flush()
            await asyncio.sleep(DRAIN_LOOK_S)
        return True


@cache
def shown_model(model_id: str) -> str:
    """A model's name for everyone: of a file or a folder its own name, not where it lies."""

    def shown(part: str) -> str:
        is_path = Path(part).is_absolute() or Path(part).exists() or Path(part.partition("+")[0]).exists()
        return part.rpartition("/")[2] if is_path else part

    return ":".join(map(shown, model_id.split(":")))


async def _verdict_of(service: RewardService, item: Item) -> Verdict:
    """A cohort's verdict: its members were accepted one by one, so the group is not refused."""
    return (await service.ask(item, accepted=True)).verdict
