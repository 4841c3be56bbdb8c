"""Does any caller of ``spct serve`` get a wrong reward, or none, while it is killed again and again?

    python -m benchmarks.serve_faults                 # 20 ends, about a minute and a half

64 callers with our client ask for group after group, each until it has its rewards. At random moments the server is ended
by SIGKILL and SIGTERM in turns, and begun again at the same address over the same run directory. After each end every
group that anyone was answered about must be in the run; at last every reward must be that of a judge in this process.
Ends with 1 otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import tempfile
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.instant import Process, group, started
from benchmarks.serve_overload import Rewards, offline

from spct.client import RewardClient
from spct.run import RunStore
from spct.run.stored import stored_items, stored_settings

CALLERS = 64
OPTIONS = ("--quiet", "-k", "1", "--engine-option", "delay-s=0.02")


def stored(folder: Path) -> list[int]:
    """The stories whose verdict is in the run, as often as it is."""
    with contextlib.closing(RunStore.open(folder)) as store:
        _, settings = stored_settings(store)
        finished = [one.item for one in stored_items(store, settings) if one.finished]
    return [int(item.messages[0].content.partition("Story ")[2].partition(":")[0]) for item in finished]


async def caller(client: RewardClient, numbers: count[int], answered: Rewards, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        number = next(numbers)
        answered[number] = list((await client.areward(**group(number))).rewards)


async def killed_again_and_again(ends: int, seed: int, folder: Path) -> bool:
    """Whether all is well; prints what was found."""
    chance = random.Random(seed)
    answered: Rewards = {}
    missing = 0
    codes: list[int] = []
    numbers, stopping = count(1), asyncio.Event()

    async def start(port: int) -> Process:
        return await started(*OPTIONS, "--out", str(folder), "--port", str(port))

    server = await start(0)
    port = urlsplit(server.url).port or 0
    async with RewardClient(server.url, patience_s=120) as client:
        callers = [asyncio.create_task(caller(client, numbers, answered, stopping)) for _ in range(CALLERS)]
        for end in range(ends):
            await asyncio.sleep(chance.uniform(0.2, 2.0))
            codes.append(await server.ended((signal.SIGKILL, signal.SIGTERM)[end % 2]))
            missing += len(set(answered) - set(await asyncio.to_thread(stored, folder)))
            server = await start(port)
        stopping.set()
        await asyncio.gather(*callers)
        await server.ended()
    kept = stored(folder)
    expected = await offline(sorted(answered))
    wrong = sum(answered[number] != expected[number] for number in answered)
    unanswered = next(numbers) - 1 - len(answered)
    told = {
        "groups": len(answered),
        "wrong": wrong,
        "unanswered": unanswered,
        "ended by SIGKILL": codes.count(-signal.SIGKILL),
        "ended by SIGTERM, exit code 0": codes.count(0),
        "answered and not in the run": missing,
        "verdicts in the run": len(kept),
    }
    print(json.dumps(told))
    return not (wrong or unanswered or missing) and set(codes) <= {-signal.SIGKILL, 0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ends", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if not asyncio.run(killed_again_and_again(given.ends, given.seed, Path(folder) / "run")):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
