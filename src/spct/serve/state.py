"""What the routes of one server share: its judges, its limits, how it drains; and what belongs to each caller alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import Self

from spct.errors import DrainingError, InputError, SpctError
from spct.run.asks import Asked
from spct.serve.limits import Limits
from spct.service.closed_groups import ClosedGroups
from spct.service.cohort import Cohorts
from spct.service.holding import Holding
from spct.service.member import CohortPlace, Member, joint_item
from spct.service.options import NO_OPTIONS, JudgeOptions
from spct.service.rewards import Scale, rewards_of
from spct.service.service import Answer, Answers, RewardService
from spct.service.shares import Shares
from spct.types import Item
from spct.voting.verdict import Verdict

DRAIN_LOOK_S = 0.02
RETURN_S = 5.0
"""A caller that has not come back for its held rollout for so long is not waited for when the server drains."""


@dataclass(slots=True)
class ServerState:
    """``judges`` by name; a request that names none is for ``default``, the first of them if that is "".

    ``draining`` refuses what is new; ``active`` counts the requests being answered. ``keys`` is how many callers with keys of
    their own there may be, ``weights`` what parts those have that are named there. ``may_ask`` names the keys that a judge
    answers, which are all if it is not there. ``max_open`` bounds the groups that one caller has with one judge.
    ``closed_groups`` keeps on disk which rollouts were judged together. As a context it starts all judges, and closes them.
    """

    judges: Mapping[str, RewardService]
    limits: Limits = field(default_factory=Limits)
    cohort_wait_s: float = 60.0
    max_open: int = 4096
    keys: int = 1
    weights: Mapping[str, float] = field(default_factory=dict)
    may_ask: Mapping[str, Collection[str]] = field(default_factory=dict)
    default: str = ""
    closed_groups: ClosedGroups | None = None
    created: int = field(default_factory=lambda: int(time.time()))
    draining: bool = False
    active: int = 0
    callers: dict[tuple[str, str], Caller] = field(default_factory=dict)
    bodies: Shares = field(init=False)

    def __post_init__(self) -> None:
        self.bodies = Shares(self.limits.waiting_bytes, self.keys, self.weights)
        self.default = self.default or next(iter(self.judges))

    async def __aenter__(self) -> Self:
        try:
            for service in self.judges.values():
                await service.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all judges, at once: what each has under way is given up before an engine that two of them share is freed."""
        await asyncio.gather(*[service.close() for service in self.judges.values()])
        if self.closed_groups is not None:
            self.closed_groups.close()

    @property
    def models(self) -> str:
        """The models of its judges as callers are told them, the default one first."""
        names = sorted(self.judges, key=lambda name: name != self.default)
        return ", ".join(dict.fromkeys(shown_model(self.judges[name].model_id) for name in names))

    def caller(self, key: str, judge: str | None = None) -> Caller:
        """The holder of this key, which has been let in, before a judge. Raises InputError for one that is not there."""
        judge = self.default if judge is None else judge
        found = self.callers.get((key, judge))
        if found is None:
            known = self.judges_of(key)
            if judge not in known:  # nor is said that there is one which this key may not ask
                raise InputError(f"got the judge {judge[:64]!r}; this service has {', '.join(known) or 'none'}")
            found = self.callers[key, judge] = Caller(key, self, judge)
            if self.draining:
                found.cohorts.refuse_new()
        return found

    def judges_of(self, key: str) -> dict[str, RewardService]:
        """The judges that the holder of this key may ask, by name."""
        return {
            name: service
            for name, service in self.judges.items()
            if name not in self.may_ask or key in self.may_ask[name]
        }

    def judge_for(self, model: str | None) -> str | None:
        """The judge that ``model`` of a request in another's shape means: where there is but one, whatever it says."""
        return None if len(self.judges) == 1 else model

    @property
    def open_groups(self) -> int:
        """Groups of rollouts that are gathering or being judged now."""
        return sum(caller.cohorts.open for caller in self.callers.values())

    @property
    def held_rollouts(self) -> int:
        """Rollouts held for callers that come again."""
        return sum(caller.holding.held for caller in self.callers.values())

    async def drain(self, timeout_s: float) -> bool:
        """Refuse what is new and wait until all that was accepted is answered; False if that takes too long.

        Rollouts whose group is open already are still taken, so that it is judged whole; when half the time is over, groups
        that wait are judged as they are. Held rollouts that nobody has come back for are let go.
        """
        self.draining = True
        for caller in self.callers.values():
            caller.cohorts.refuse_new()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while self.active or self.open_groups or self.held_rollouts:
            passed = loop.time() - begun
            if passed >= timeout_s:
                return False
            for caller in self.callers.values():
                caller.holding.let_go(RETURN_S)
                if passed >= timeout_s / 2:
                    caller.cohorts.flush()
            await asyncio.sleep(DRAIN_LOOK_S)
        return True


@dataclass(slots=True)
class Caller:
    """What one caller asks of one judge: its items within the limits, and its own groups of rollouts.

    ``name`` is that of its key, "" where the server has none: without keys all callers are one. No caller sees or touches
    another's groups, whatever names it gives.
    """

    name: str
    server: ServerState
    judge: str
    service: RewardService = field(init=False)
    cohorts: Cohorts = field(init=False)
    holding: Holding = field(init=False)

    def __post_init__(self) -> None:
        server, kept = self.server, self.server.closed_groups
        self.service = server.judges[self.judge]
        owner = (self.name, self.judge)
        self.cohorts = Cohorts(
            self._joint_verdict,
            wait_s=server.cohort_wait_s,
            max_open=server.max_open,
            max_size=server.limits.n,
            closed=() if kept is None else kept.of(owner),
            on_closed=None if kept is None else partial(kept.keep, owner),
        )
        self.holding = Holding(self.cohorts)

    async def ask(
        self,
        item: Item,
        options: JudgeOptions = NO_OPTIONS,
        deadline_s: float | None = None,
        asked: Asked | None = None,
    ) -> Answer:
        """The answer to one item. ``asked`` is what the request told of itself. Raises SpctError."""
        self._check(options)
        self.server.limits.check_item(item)
        return await self.service.ask(item, options, deadline_s=deadline_s, caller=self.name, asked=asked)

    def ask_each(
        self,
        items: Sequence[Item],
        options: JudgeOptions = NO_OPTIONS,
        deadline_s: float | None = None,
        asked: Sequence[Asked | None] | None = None,
    ) -> Answers:
        """The answers to several items as they come. Raises SpctError for what keeps all from being judged."""
        self._check(options)
        self.server.limits.check_items(items)
        return self.service.ask_each(items, options, deadline_s=deadline_s, caller=self.name, asked=asked)

    async def ask_all(
        self,
        items: Sequence[Item],
        options: JudgeOptions = NO_OPTIONS,
        deadline_s: float | None = None,
        asked: Sequence[Asked | None] | None = None,
    ) -> list[Answer | SpctError]:
        """The answers in the order of the items."""
        async with self.ask_each(items, options, deadline_s, asked) as answers:
            found = {place: answer async for place, answer in answers}
        return [found[place] for place in range(len(items))]

    async def join(self, member: Member, deadline_s: float | None = None, hold_s: float | None = None) -> CohortPlace:
        """The place of a rollout in its group. Raises SpctError."""
        server = self.server
        server.limits.check_item(joint_item([member]))
        if hold_s is not None:
            return await self.holding.join(member, hold_s=hold_s)
        limit_s = server.cohort_wait_s + self.service.deadline_s
        return await self.cohorts.join(member, limit_s if deadline_s is None else min(deadline_s, limit_s))

    def scale(self, options: JudgeOptions = NO_OPTIONS) -> Scale | None:
        """The least and the greatest score of the judge with these options."""
        return self.service.judges.of(options, self.name).scale

    def relevance(self, verdict: Verdict) -> tuple[float, ...]:
        """Rewards for clients that expect relevance: on 0..1, or plain means where the judge states no scale."""
        scale = self.scale()
        return rewards_of(verdict, "mean" if scale is None else "unit", scale).values

    @property
    def model(self) -> str:
        """The model as callers are told it."""
        return shown_model(self.service.model_id)

    def _check(self, options: JudgeOptions) -> None:
        self.server.limits.check_options(options)
        if self.server.draining:
            raise DrainingError("the service is stopping and accepts nothing new; ask again when it is back", 2.0)

    async def _joint_verdict(self, item: Item, asked: Asked) -> Verdict:
        """A group's verdict: its members were accepted one by one, so the group is not refused."""
        return (await self.service.ask(item, accepted=True, caller=self.name, asked=asked)).verdict


@cache
def shown_model(model_id: str) -> str:
    """A model's name for everyone: of a file or a folder its own name, not where it lies."""

    def shown(part: str) -> str:
        is_path = Path(part).is_absolute() or Path(part).exists() or Path(part.partition("+")[0]).exists()
        return part.rpartition("/")[2] if is_path else part

    return ":".join(map(shown, model_id.split(":")))
