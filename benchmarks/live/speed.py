"""Tokens a second of judging into a run directory over those of a bare loop that sends the same requests, taking turns.

The loop is aiohttp and orjson: it reads each reply, counts its tokens as the engine does, and drops it.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import aiohttp
from benchmarks.embedded_judge import requests_of, run_judge
from benchmarks.live.checks import ITEMS, Target
from benchmarks.live.servers import NAME, Server

from spct.engines import SampleRequest
from spct.engines.http import wire
from spct.items import read_items
from spct.judges.settings import judge_settings


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second of each turn."""

    judged: tuple[float, ...]
    bare: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        return [judged / bare for judged, bare in zip(self.judged, self.bare, strict=True)]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)


async def bare_loop(server: Server, style: str, requests: Sequence[SampleRequest], in_flight: int) -> int:
    """The tokens of all requests, so many of them at a time."""
    waiting = iter(requests)

    async def work(session: aiohttp.ClientSession) -> int:
        tokens = 0
        for request in waiting:
            body = wire.encode(wire.payload(NAME, request, style, ()))
            async with session.post(
                f"{server.base_url}/chat/completions", data=body, headers={"Content-Type": "application/json"}
            ) as reply:
                tokens += wire.read_reply(await reply.read(), request).usage.completion_tokens
        return tokens

    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        return sum(await asyncio.gather(*(work(session) for _ in range(in_flight))))


async def measure(server: Server, target: Target, style: str, items: int, max_tokens: int, rounds: int) -> Speed:
    engine = target.engine()
    await engine.start()
    settings = judge_settings(k=8, max_tokens=max_tokens, retries=0)
    asked = list(islice(read_items(ITEMS), items))
    requests = await requests_of(engine, settings, asked)
    await bare_loop(server, style, requests, len(requests))  # fills the server's prefix cache for both sides
    judged, bare = [], []
    for turn in range(rounds):
        for side in ("judge", "bare") if turn % 2 == 0 else ("bare", "judge"):
            began = time.perf_counter()
            if side == "judge":
                judged.append(await run_judge(engine, settings, asked) / (time.perf_counter() - began))
            else:
                bare.append(await bare_loop(server, style, requests, len(requests)) / (time.perf_counter() - began))
    await engine.close()
    return Speed(tuple(judged), tuple(bare))
