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
from typing import Any

import aiohttp
import orjson
from benchmarks.embedded_judge import requests_of, run_judge
from benchmarks.live.checks import ITEMS, Target
from benchmarks.live.servers import NAME, Server

from spct.engines import SampleRequest
from spct.engines.http.presets import PRESETS
from spct.engines.http.wire import read_reply
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


def body_of(request: SampleRequest, style: str) -> bytes:
    body: dict[str, Any] = {
        "model": NAME,
        "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "seed": request.seed,
        "n": request.n,
    }
    body |= PRESETS["vllm-server" if style == "vllm" else "llama-server"].sampling
    if style == "vllm":
        body["structured_outputs"] = {"grammar": request.grammar}
    else:
        body["grammar"] = request.grammar
    return orjson.dumps(body)


async def bare_loop(server: Server, style: str, requests: Sequence[SampleRequest]) -> int:
    """The tokens of all requests, sent at once."""
    url, kind = f"{server.base_url}/chat/completions", {"Content-Type": "application/json"}

    async def ask(session: aiohttp.ClientSession, request: SampleRequest) -> int:
        async with session.post(url, data=body_of(request, style), headers=kind) as reply:
            return read_reply(await reply.read(), request).usage.completion_tokens

    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        return sum(await asyncio.gather(*(ask(session, request) for request in requests)))


async def measure(server: Server, target: Target, style: str, items: int, max_tokens: int, rounds: int) -> Speed:
    engine = target.engine()
    await engine.start()
    settings = judge_settings(k=8, max_tokens=max_tokens, retries=0)
    asked = list(islice(read_items(ITEMS), items))
    requests = await requests_of(engine, settings, asked)
    await bare_loop(server, style, requests)  # fills the server's prefix cache for both sides
    judged, bare = [], []
    for turn in range(rounds):
        for side in ("judge", "bare") if turn % 2 == 0 else ("bare", "judge"):
            began = time.perf_counter()
            if side == "judge":
                judged.append(await run_judge(engine, settings, asked) / (time.perf_counter() - began))
            else:
                bare.append(await bare_loop(server, style, requests) / (time.perf_counter() - began))
    await engine.close()
    return Speed(tuple(judged), tuple(bare))
