"""A real server on loopback, in the test's own event loop, and a client that knows its address."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from types import MappingProxyType
from typing import Any

import aiohttp
import orjson

from service.serving import SETTINGS, by_digit
from spct.engines import Engine
from spct.engines.scripted import ScriptedEngine
from spct.judges.settings import JudgeSettings
from spct.serve.app import create_app
from spct.serve.auth import Keys, new_key
from spct.serve.limits import Limits
from spct.serve.log import JsonLog
from spct.serve.metrics import Metrics
from spct.serve.server import Server
from spct.serve.state import ServerState
from spct.service.closed_groups import ClosedGroups
from spct.service.judges import grm_judges
from spct.service.service import RewardService


def keys_of(*names: str) -> tuple[Keys, list[str]]:
    """Keys for these names, and what each bears."""
    made = [new_key(name) for name in names]
    digests = tuple((name, bytes.fromhex(line.split()[1])) for name, (_, line) in zip(names, made, strict=True))
    return Keys(digests), [f"Bearer {key}" for key, _ in made]


PAIR = {"query": "Which is best?", "responses": ["3", "9"]}


@dataclass
class Reply:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def error(self) -> str:
        """The type of the error, whose body must have the documented shape."""
        assert set(self.json) == {"error"} and set(self.json["error"]) == {"type", "message"}
        return self.json["error"]["type"]


@dataclass
class Live:
    """A running server: ``post`` and ``get`` ask it, ``log`` is what it has logged so far."""

    server: Server
    serving: ServerState
    session: aiohttp.ClientSession
    log_bytes: BytesIO = field(default_factory=BytesIO)

    @property
    def address(self) -> str:
        return self.server.address

    @property
    def service(self) -> RewardService:
        return self.serving.judges[self.serving.default]

    @property
    def log(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.log_bytes.getvalue().splitlines()]

    async def post(self, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str) -> Reply:
        data = orjson.dumps(body) if raw is None else raw
        named = {"Content-Type": "application/json"} | {name.replace("_", "-"): v for name, v in headers.items()}
        async with self.session.post(self.address + path, data=data, headers=named) as reply:
            return Reply(reply.status, dict(reply.headers), await reply.read())

    async def get(self, path: str, **headers: str) -> Reply:
        async with self.session.get(self.address + path, headers=headers) as reply:
            return Reply(reply.status, dict(reply.headers), await reply.read())


@contextlib.asynccontextmanager
async def live(
    engine: Engine | None = None,
    settings: JudgeSettings = SETTINGS,
    *,
    keys: Keys | None = None,
    limits: Limits | None = None,
    cohort_wait_s: float = 60.0,
    drain_s: float = 5.0,
    make_judge: Any = None,
    others: Mapping[str, Engine] = MappingProxyType({}),
    weights: Mapping[str, float] = MappingProxyType({}),
    may_ask: Mapping[str, Collection[str]] = MappingProxyType({}),
    closed_groups: ClosedGroups | None = None,
    **service: Any,
) -> AsyncIterator[Live]:
    """Serve ``engine`` (one that scores by digits), and ``others`` as judges of these names, until the block ends."""
    metrics, log_bytes = Metrics(), BytesIO()
    make = make_judge or grm_judges(engine or ScriptedEngine(by_digit))
    callers = max(1, len(keys.digests) if keys else 0)
    named = {"default": make, **{name: grm_judges(other) for name, other in others.items()}}
    judges = {
        name: RewardService(one, settings, callers=callers, weights=weights, on_judged=metrics.judged, **service)
        for name, one in named.items()
    }
    serving = ServerState(
        judges,
        limits or Limits(),
        cohort_wait_s,
        keys=callers,
        weights=weights,
        may_ask=may_ask,
        closed_groups=closed_groups,
    )
    log = JsonLog(log_bytes)
    server = Server(create_app(serving, keys=keys, metrics=metrics, log=log), serving, log, drain_s=drain_s)
    listening = socket.create_server(("127.0.0.1", 0))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            yield Live(server, serving, session, log_bytes)
    finally:
        server.should_exit = True
        await running
        listening.close()


async def until(condition: Any) -> None:
    """Wait for something that another task brings about; the suite's own time limit ends it."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.002)
