"""A local server that answers reward requests by a script: one behaviour a request, then ``then`` for all others.

A behaviour is ``async (request, body) -> StreamResponse``; what arrives is kept in ``bodies`` and ``headers``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self

from aiohttp import web

Behaviour = Callable[[web.Request, Any], Awaitable[web.StreamResponse]]


class RewardServer:
    """``async with RewardServer(then) as server:`` listens at ``server.url``, on ``port`` again after ``stop``."""

    def __init__(self, then: Behaviour, script: Iterable[Behaviour] = (), port: int = 0) -> None:
        self._then, self._script = then, list(script)
        self.port = port
        self.bodies: list[Any] = []
        self.headers: list[Any] = []
        self.paths: list[str] = []
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Drop every connection and listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.bodies.append(body)
        self.headers.append(request.headers)
        self.paths.append(request.path)
        behaviour = self._script.pop(0) if self._script else self._then
        return await behaviour(request, body)


def refusal(status: int, kind: str = "", message: str = "no", **headers: str) -> Behaviour:
    """An answer that is not a success, in the shape of ``serve.wire.parts.ErrorAnswer``."""

    async def refuse(request: web.Request, body: Any) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"error": {"type": kind, "message": message}}, status=status, headers=named)

    return refuse


async def hang_up(request: web.Request, body: Any) -> web.StreamResponse:
    """Close the connection without an answer."""
    assert request.transport is not None
    request.transport.close()
    await asyncio.sleep(0)
    return web.Response()


def answering(make: Callable[[Any], Any]) -> Behaviour:
    """Answer 200 with ``make(body)`` as JSON."""

    async def answer(request: web.Request, body: Any) -> web.StreamResponse:
        return web.json_response(make(body))

    return answer


def group_answer(rewards: list[Any], **changed: Any) -> dict[str, Any]:
    """A ``GroupRewards`` as it travels."""
    numbers = [reward if isinstance(reward, float) else 0.0 for reward in rewards]
    return {
        "id": "g",
        "model": "scripted:x",
        "source": "sampled",
        "normalisation": "mean",
        "range": [1, 10],
        "rewards": rewards,
        "counts": [8] * len(rewards),
        "best": numbers.index(max(numbers)),
        "tied": [],
        "valid": 8,
        "invalid": 0,
        "confidence": 0.9,
        "usage": USAGE,
    } | changed


def rollout_answer(reward: Any, **changed: Any) -> dict[str, Any]:
    """A ``RolloutReward`` as it travels."""
    return {
        "reward": reward,
        "model": "scripted:x",
        "normalisation": "mean",
        "range": [1, 10],
        "members": 4,
        "size": 4,
        "closed": "full",
        "partial": False,
        "alone": False,
        "best": True,
        "valid": 8,
        "invalid": 0,
    } | changed


def verdict_answer(best: int | None = 1, id: str = "v", **changed: Any) -> dict[str, Any]:
    """A ``VerdictOut`` as it travels, of two responses and one judgment."""
    judgment = {
        "index": 0,
        "attempt": 0,
        "block": 0,
        "order": [1, 0],
        "seed": 5,
        "text": "Scores: \\boxed{8, 3}",
        "reasoning": None,
        "finish_reason": "stop",
        "scores": [3, 8],
        "expected": None,
        "problem": None,
    }
    return {
        "id": id,
        "model": "scripted:x",
        "source": "sampled",
        "n": 2,
        "k": 1,
        "sampled": 1,
        "valid": 1,
        "invalid": 0,
        "rule": "sum",
        "tie_rule": "random",
        "best": best,
        "ranking": [1, 0],
        "totals": [3, 8],
        "means": [3, 8],
        "spread": [None, None],
        "tied": [],
        "confidence": None,
        "error": None,
        "judgments": [judgment],
        "usage": USAGE,
    } | changed


USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 0, "requests": 1}
