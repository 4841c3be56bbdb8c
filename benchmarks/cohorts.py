"""Does every rollout of a training step get the reward that its whole group would be given offline?

    python -m benchmarks.cohorts                                # in process
    spct serve --model scripted:benchmarks/cohorts.py:scores    # or over HTTP, this in another terminal
    python -m benchmarks.cohorts --url http://127.0.0.1:8000

All rollouts are sent one by one in random order over a few connections. Some are sent twice; some callers go away while
they wait and ask again. The judge's scores depend on the whole prompt, so on every member of the group and their order:
a rollout judged with one member too few, or in another order, gets another reward. Ends with 1 if any reward is wrong.
A caller that is told to try again, by a proxy before a replica that is down or by a server that stops, does so.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

from spct import errors
from spct.engines.engine import SampleRequest
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import PendingError
from spct.judges.grm import GRMJudge
from spct.judges.settings import JudgeSettings
from spct.run.asks import Asked
from spct.service.cohort import Cohorts
from spct.service.holding import Holding
from spct.service.member import CohortPlace, Member, joint_item, place_in
from spct.types import Item, Message
from spct.voting.orders import keyed_hash
from spct.wire import COHORT_HEADER
from spct.wire.asked import cohort_of
from spct.wire.reward import RewardRollout

HOLD_S = 0.02
AGAIN_S = 0.25
WAIT_S = 600.0
ROLLOUT = re.compile(r"^Rollout \d+\.\d+\.", re.M)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is sent, and how badly; the shares are of the rollouts."""

    groups: int
    size: int
    connections: int
    duplicates: float
    disconnects: float
    seed: int
    k: int


@dataclass(frozen=True, slots=True)
class Reward:
    """A rollout's reward, and whether its group was complete when it was judged."""

    value: float
    partial: bool


@dataclass(slots=True)
class Outcome:
    """What came of it. ``wrong`` rewards are not those computed offline, ``partial`` ones lacked members.

    ``refused`` counts errors by kind. ``judged`` are the groups that the judge saw, None where it is a server's.
    """

    rollouts: int
    calls: int
    disconnects: int = 0
    rewards: int = 0
    wrong: int = 0
    partial: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    asked_again: int = 0
    told_to_try_again: int = 0
    judged: int | None = None
    seconds: float = 0.0

    def add(self, answer: Reward | BaseException, expected: float) -> None:
        if isinstance(answer, BaseException):
            kind = type(answer).__name__
            self.refused[kind] = self.refused.get(kind, 0) + 1
            return
        self.rewards += 1
        self.wrong += answer.value != expected
        self.partial += answer.partial


class TryAgainError(Exception):
    """No answer, and no harm in asking again: the connection was lost, or the answer is 429, 502, 503 or 504."""


Ask = Callable[[Member, float | None], Coroutine[Any, Any, Reward]]
"""One request: the member, and how long to hold it (None: until its group is judged)."""


def scores(request: SampleRequest, j: int) -> str:
    """A judgment whose every score hangs on the whole prompt and on the sample's seed."""
    prompt = request.messages[-1].content
    return judgment_text(
        [1 + keyed_hash(prompt, request.seed + j, i) % 10 for i in range(len(ROLLOUT.findall(prompt)))]
    )


def rollouts_of(plan: Plan) -> list[list[Member]]:
    """The groups; a run name of its own keeps one call of this program from another."""
    run = f"benchmark-{uuid4().hex[:8]}"
    return [
        [
            Member(
                run=run,
                group=f"prompt-{g}",
                size=plan.size,
                member=f"{g}-{i}",
                query=(Message("user", f"Question {g}: how is a greenhouse kept warm in winter?"),),
                response=f"Rollout {g}.{i}. With {keyed_hash(plan.seed, g, i) % 997} litres of warm water.",
            )
            for i in range(plan.size)
        ]
        for g in range(plan.groups)
    ]


async def offline(plan: Plan, groups: list[list[Member]]) -> dict[Member, float]:
    """The mean score of each rollout, each group judged as one item."""
    judge = GRMJudge(ScriptedEngine(scores), JudgeSettings(k=plan.k))
    rewards: dict[Member, float] = {}
    for group in groups:
        item = joint_item(group)
        verdict = await judge.judge(item)
        assert verdict.means is not None
        rewards |= {member: verdict.means[place_in(item, member)] for member in group}
    return rewards


@contextlib.asynccontextmanager
async def in_process(plan: Plan, outcome: Outcome) -> AsyncIterator[Ask]:
    judge = GRMJudge(ScriptedEngine(scores), JudgeSettings(k=plan.k))
    outcome.judged = 0

    async def judged(item: Item, asked: Asked) -> Any:
        outcome.judged = (outcome.judged or 0) + 1
        return await judge.judge(item)

    cohorts = Cohorts(judged, wait_s=WAIT_S)
    holding = Holding(cohorts)

    async def ask(member: Member, hold_s: float | None) -> Reward:
        place: CohortPlace = await (cohorts.join(member) if hold_s is None else holding.join(member, hold_s=hold_s))
        assert place.verdict.means is not None
        return Reward(place.verdict.means[place.index], place.partial)

    yield ask


@contextlib.asynccontextmanager
async def over_http(url: str, key: str | None, plan: Plan, outcome: Outcome) -> AsyncIterator[Ask]:
    import aiohttp

    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    connector = aiohttp.TCPConnector(limit=plan.connections)
    timeout = aiohttp.ClientTimeout(total=None)

    async def ask(session: aiohttp.ClientSession, member: Member, hold_s: float | None) -> Reward:
        body = body_of(member, hold_s)
        cohort = {COHORT_HEADER: cohort_of(RewardRollout.model_validate(body))}
        try:
            async with session.post(f"{url}/v1/reward", json=body, headers=cohort) as response:
                if response.status in (429, 502, 503, 504):
                    raise TryAgainError
                answer = await response.json()
        except aiohttp.ClientError as error:
            raise TryAgainError from error
        if response.status != 200:
            kind = getattr(errors, answer["error"]["type"], RuntimeError)
            raise kind(f"{response.status}: {answer['error']['message']}")
        return Reward(answer["reward"], answer["partial"])

    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:
        yield partial(ask, session)


def body_of(member: Member, hold_s: float | None) -> dict[str, Any]:
    return {
        "query": [{"role": turn.role, "content": turn.content} for turn in member.query],
        "response": member.response,
        "group": {"run": member.run, "id": member.group, "size": member.size, "member": member.member},
        "normalisation": "mean",
        "hold_s": hold_s,
    }


async def rewarded(
    ask: Ask, connections: asyncio.Semaphore, member: Member, goes_after_s: float | None, outcome: Outcome
) -> Reward:
    """The member's reward; a caller that goes away does so ``goes_after_s`` after it was first sent."""
    if goes_after_s is not None:
        with contextlib.suppress(TimeoutError, TryAgainError):
            async with connections, asyncio.timeout(goes_after_s):
                return await ask(member, None)
        outcome.disconnects += 1
    while True:
        try:
            async with connections:
                return await ask(member, HOLD_S)
        except PendingError:
            outcome.asked_again += 1
        except TryAgainError:
            outcome.told_to_try_again += 1
            await asyncio.sleep(AGAIN_S)


async def send_all(plan: Plan, url: str | None, key: str | None) -> Outcome:
    """Send every rollout, and compare every reward with the one computed offline."""
    groups = rollouts_of(plan)
    chance = random.Random(plan.seed)
    members = [member for group in groups for member in group]
    going = set(chance.sample(members, round(plan.disconnects * len(members))))
    calls = members + chance.sample(members, round(plan.duplicates * len(members)))
    chance.shuffle(calls)
    outcome = Outcome(len(members), len(calls))
    expected = await offline(plan, groups)
    async with over_http(url, key, plan, outcome) if url else in_process(plan, outcome) as ask:
        started = time.perf_counter()
        patience_s = [chance.uniform(0, 0.05) if member in going else None for member in calls]
        connections = asyncio.Semaphore(plan.connections)
        asked = [rewarded(ask, connections, *call, outcome) for call in zip(calls, patience_s, strict=True)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        outcome.seconds = round(time.perf_counter() - started, 2)
    for member, answer in zip(calls, answers, strict=True):
        outcome.add(answer, expected[member])
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=512)
    parser.add_argument("--size", type=int, default=8)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--duplicates", type=float, default=0.01, help="share of the rollouts that are sent twice")
    parser.add_argument("--disconnects", type=float, default=0.01, help="share whose caller goes away and asks again")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-k", type=int, default=8, help="judgments a group, as the server has it")
    parser.add_argument("--url", help="a running `spct serve`; its rollouts must wait long enough for each other")
    parser.add_argument("--key", help="bearer key of the server")
    given = vars(parser.parse_args())
    url, key = given.pop("url"), given.pop("key")
    outcome = asyncio.run(send_all(Plan(**given), url and url.rstrip("/"), key))
    print(json.dumps(asdict(outcome)))
    if outcome.wrong or outcome.partial or outcome.refused:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
