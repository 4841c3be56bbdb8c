"""A rubric's criteria asked together or one by one on llama.cpp's own server: requests, tokens, prefix-cache hits, seconds.

    python -m benchmarks.criteria [--rubric factual-answer] [--items 8] [-k 2] [--max-tokens 128] [--arms joint:1 separate:8]

An arm is how the criteria are asked and how many requests are in flight. Each has a server of its own, freshly started, so
that none finds in the cache what another left there. Starting it and one request to warm it up are not timed. On a machine
with other work ``--threads 1`` keeps the server's threads from waiting for each other; then go by its processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, cast

from benchmarks.live.checks import ITEMS
from benchmarks.live.servers import NAME, Server, llamacpp_server

from spct import load_engine
from spct.engines import SampleRequest
from spct.items import read_items
from spct.judges import judge_of
from spct.judges.settings import judge_settings
from spct.rubrics import Rubric
from spct.run import judge_items
from spct.types import Item, Message, Usage

ARMS = ("joint:1", "separate:1", "joint:8", "separate:8")
"""Eight are the server's slots, each with a cache of its own."""
HEADS = ("criteria", "in flight", "requests", "tokens in", "of them cached", "tokens out", "cached", "seconds",
         "server's processor", "answered")  # fmt: skip
WARM = SampleRequest((Message("user", "Count to three."),), max_tokens=8)


@dataclass(frozen=True, slots=True)
class Cost:
    """What judging all items took: by the clock, and of the server's processor time. ``answered`` of ``asked`` criteria and
    items have a valid answer.
    """

    usage: Usage
    seconds: float
    cpu_s: float
    answered: int
    asked: int


async def judged(
    server: Server, items: Sequence[Item], rubric: Rubric, how: str, in_flight: int, k: int, most: int
) -> Cost:
    engine = load_engine(f"openai:{NAME}", base_url=server.base_url, concurrency=in_flight)
    await engine.start()
    await engine.sample(WARM)
    criteria = cast(Literal["joint", "separate"], how)
    settings = judge_settings(k=k, rubric=rubric, criteria=criteria, max_tokens=most)
    judge = judge_of(engine, settings)
    began, began_cpu, usage, answered, asked = time.perf_counter(), server.cpu_s, Usage(), 0, 0
    async for outcome in judge_items(judge, items, in_flight=in_flight):
        usage += outcome.verdict.usage
        results = () if outcome.verdict.criteria is None else outcome.verdict.criteria.results
        answered, asked = answered + sum(result.valid > 0 for result in results), asked + len(rubric.judged)
    seconds, cpu_s = time.perf_counter() - began, server.cpu_s - began_cpu
    await engine.close()
    return Cost(usage, seconds, cpu_s, answered, asked)


def row(arm: str, cost: Cost) -> str:
    how, _, in_flight = arm.partition(":")
    usage, share = cost.usage, 100 * cost.usage.cached_tokens / max(1, cost.usage.prompt_tokens)
    counts = (usage.requests, usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
    cells = [
        how,
        in_flight,
        *(f"{count:,}" for count in counts),
        f"{share:.0f}%",
        f"{cost.seconds:.1f}",
        f"{cost.cpu_s:.1f}",
    ]
    return f"| {' | '.join([*cells, f'{cost.answered} of {cost.asked}'])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rubric", default="factual-answer")
    parser.add_argument("--items", type=int, default=8)
    parser.add_argument("-k", type=int, default=2)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--arms", nargs="+", default=ARMS)
    options = parser.parse_args()
    items, rubric = list(islice(read_items(ITEMS), options.items)), Rubric.load(options.rubric)
    print(f"load {os.getloadavg()[0]:.1f} at the start; {len(items)} pairs, {len(rubric.judged)} criteria\n")
    print(f"| {' | '.join(HEADS)} |\n| --- |{' ---: |' * (len(HEADS) - 1)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for arm in options.arms:
            how, _, in_flight = arm.partition(":")
            with llamacpp_server(Path(folder) / "server.log", options.threads) as server:
                run = judged(server, items, rubric, how, int(in_flight), options.k, options.max_tokens)
                print(row(arm, asyncio.run(run)), flush=True)


if __name__ == "__main__":
    main()
