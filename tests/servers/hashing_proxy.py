"""A proxy before replicas that does what examples/proxy/nginx.conf does: rollouts go by their header, the rest in turns.

A rollout's replica is a function of the header alone, whether it answers or not; while it is down the answer is 502 in HTML.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Self

import aiohttp
from aiohttp import web

from spct.wire import COHORT_HEADER


class HashingProxy:
    """``async with HashingProxy(urls) as proxy:`` listens at ``proxy.url``; ``sent`` counts requests by replica and header."""

    def __init__(self, urls: Callable[[], Sequence[str]]) -> None:
        self.url = ""
        self.sent: Counter[tuple[int, str | None]] = Counter()
        self.bad_gateways = 0
        self._urls, self._turn = urls, 0

    def place_of(self, cohort: str) -> int:
        """The replica of the rollouts with this header."""
        return int(hashlib.sha256(cohort.encode()).hexdigest(), 16) % len(self._urls())

    async def _pass_on(self, request: web.Request) -> web.Response:
        urls, cohort = self._urls(), request.headers.get(COHORT_HEADER)
        self._turn += 1
        place = self._turn % len(urls) if cohort is None else self.place_of(cohort)
        self.sent[place, cohort] += 1
        try:
            async with self._session.request(
                request.method, f"{urls[place]}{request.path_qs}", data=await request.read(), headers=request.headers
            ) as reply:
                return web.Response(status=reply.status, body=await reply.read(), content_type=reply.content_type)
        except aiohttp.ClientError:
            self.bad_gateways += 1
            return web.Response(status=502, text="<html>502 Bad Gateway</html>", content_type="text/html")

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()
        await self._session.close()
