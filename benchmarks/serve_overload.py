"""Ten times more requests than ``spct serve`` can judge, for a minute: is any reward wrong, any accepted request lost?

    python -m benchmarks.serve_overload                        # 90 s; needs wrk
    python -m benchmarks.serve_overload --seconds 10 --times 4

The engine takes 20 ms a judgment, two at a time, so the service judges at most 100 groups a second. wrk sends half of what
can be judged, then ``--times`` as much as can be, over 512 connections, then half again. During the overload patient callers
use our client, which waits out each 429. Every reward is compared with that of a judge in this process. Ends with 1 if one
is wrong or lost, if anything but 200 and 429 is answered, or if the last phase is refused anything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.instant import InstantEngine, Process, group, serving

from spct.client import RewardClient
from spct.judges.grm import GRMJudge
from spct.judges.settings import JudgeSettings
from spct.types import Item, Message

PARALLEL, DELAY_S, QUEUE = 2, 0.02, 16
CAPACITY = PARALLEL / DELAY_S
PATIENT, TURNS = 8, 3
PATIENT_FIRST = 900_000_000
OPTIONS = ("--quiet", "-k", "1", "--concurrency", str(PARALLEL), "--queue", str(QUEUE), "--cache-mb", "1",
           "--engine-option", f"delay-s={DELAY_S}")  # fmt: skip
SCRIPT = Path(__file__).with_suffix(".lua")

Rewards = dict[int, list[float]]


@dataclass(frozen=True, slots=True)
class Phase:
    """What became of the requests of one phase.

    ``hurried`` counts refusals without a usable Retry-After, ``other`` answers that are neither 200 nor 429. Times in ms
    are of all answers; ``queued_ms`` is the mean wait of those accepted. ``cpu`` is the share of one core.
    """

    name: str
    seconds: float
    accepted: int
    refused: int
    hurried: int
    other: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    queued_ms: float
    cpu: float
    rss_mb: tuple[float, float]


async def run_phase(name: str, rate: float, seconds: float, first: int, server: Process, rewards: Rewards) -> Phase:
    """One run of wrk; what it was given goes to ``rewards``, by the story's number."""
    connections = 512 if rate > CAPACITY else 50
    pause_ms = round(1000 * connections / rate)
    cpu_s, queued_s, judged = server.cpu_s(), server.metric("spct_queue_seconds_sum"), _judged(server)
    with tempfile.NamedTemporaryFile() as file:
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(SCRIPT)]
        arguments = [f"{server.url}/v1/reward", "--", str(first), str(pause_ms), file.name]
        wrk = await asyncio.create_subprocess_exec(*command, *arguments, stdout=subprocess.PIPE)
        finished = asyncio.create_task(wrk.communicate())
        rss_mb = [server.rss_mb()]
        while not finished.done():
            await asyncio.wait({finished}, timeout=1)
            rss_mb.append(server.rss_mb())
        told = json.loads(finished.result()[0].splitlines()[-1])
        for line in file:
            body = json.loads(line)
            rewards[int(body["id"])] = body["rewards"]
    queued_ms = 1000 * (server.metric("spct_queue_seconds_sum") - queued_s) / max(1, _judged(server) - judged)
    cpu = (server.cpu_s() - cpu_s) / told["seconds"]
    return Phase(name, **told, queued_ms=queued_ms, cpu=cpu, rss_mb=(min(rss_mb), max(rss_mb)))


def _judged(server: Process) -> float:
    return server.metric("spct_queue_seconds_count")


async def patient_caller(url: str, first: int) -> Rewards:
    """A few groups one after the other, each asked for until it is answered."""
    async with RewardClient(url, patience_s=600) as client:
        return {n: list((await client.areward(**group(n))).rewards) for n in range(first, first + TURNS)}


async def offline(numbers: Iterable[int]) -> Rewards:
    """The mean scores of these groups, judged here."""
    judge = GRMJudge(InstantEngine("judge"), JudgeSettings(k=1))
    found = {}
    for number in numbers:
        body = group(number)
        verdict = await judge.judge(Item("", (Message("user", body["query"]),), tuple(body["responses"])))
        assert verdict.means is not None
        found[number] = list(verdict.means)
    return found


async def overload(seconds: float, times: float) -> bool:
    """Whether all is well; prints what was found."""
    calm_s = min(10.0, seconds)
    rewards: Rewards = {}
    async with serving(*OPTIONS) as server:
        before = await run_phase("before", CAPACITY / 2, calm_s, 0, server, rewards)
        places = range(PATIENT_FIRST, PATIENT_FIRST + PATIENT * TURNS, TURNS)
        callers = [asyncio.create_task(patient_caller(server.url, first)) for first in places]
        flood = await run_phase("overload", CAPACITY * times, seconds, 100_000_000, server, rewards)
        patient: Rewards = {}
        for found in await asyncio.gather(*callers):
            patient |= found
        after = await run_phase("after", CAPACITY / 2, calm_s, 200_000_000, server, rewards)
        for phase in (before, flood, after):
            print(json.dumps(_rounded(asdict(phase))))
    expected = await offline(rewards | patient)
    wrong = sum((rewards | patient)[number] != expected[number] for number in expected)
    phases = (before, flood, after)
    lost = sum(phase.accepted for phase in phases) - len(rewards) + PATIENT * TURNS - len(patient)
    print(json.dumps({"rewards": len(expected), "wrong": wrong, "lost": lost, "of patient callers": len(patient)}))
    return not (wrong or lost or before.refused or after.refused or any(p.other or p.hurried for p in phases))


def _rounded(fields: dict[str, Any]) -> dict[str, Any]:
    def rounded(value: Any) -> Any:
        return [round(v) for v in value] if isinstance(value, tuple) else round(value, 2)

    return {name: value if isinstance(value, str) else rounded(value) for name, value in fields.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of the overload")
    parser.add_argument("--times", type=float, default=10, help="what can be judged")
    given = parser.parse_args()
    if not asyncio.run(overload(given.seconds, given.times)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
