"""The outermost layer: lets in who may come, counts and logs every request, and lets no fault out unexplained."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from time import perf_counter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spct.serve.auth import Keys
from spct.serve.log import JsonLog
from spct.serve.metrics import Metrics
from spct.serve.problems import problem
from spct.serve.state import ServerState

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/docs", "/docs.css"})
"""What needs no key: what watches the server, and the page that a browser shows, which can send none."""
QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


class Edge:
    """ASGI middleware around the whole application; ``routes`` are the paths that metrics name."""

    def __init__(
        self, app: ASGIApp, *, serving: ServerState, keys: Keys, metrics: Metrics, log: JsonLog, routes: frozenset[str]
    ) -> None:
        self._app = app
        self._serving = serving
        self._keys = keys
        self._metrics = metrics
        self._log = log
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = perf_counter()
        exchange = _Exchange(scope, send, self._serving)
        counted = scope["path"] not in QUIET_PATHS
        self._serving.active += counted
        try:
            await self._answer(scope, receive, exchange)
        except Exception as error:
            self._log.fault(error, request=exchange.id)
            scope["spct.error"] = "InternalError"
            if exchange.status == 0:
                answer = problem(500, "InternalError", "a fault of this service; its log says more")
                await answer(scope, receive, exchange.send)
        finally:
            self._serving.active -= counted
            self._serving.bodies.give(scope.get("spct.key", ""), scope.get("spct.body_bytes", 0))
            self._note(scope, exchange, perf_counter() - begun)

    async def _answer(self, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        headers = dict(scope["headers"])
        if scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, exchange.send)
            return
        key = self._keys.name_of(headers.get(b"authorization", b""))
        if key is None:
            message = "expected the header Authorization: Bearer KEY with a key that this server knows"
            answer = problem(401, "Unauthorized", message, {"WWW-Authenticate": "Bearer"})
        elif not self._keys.digests and b"origin" in headers:
            answer = problem(403, "Forbidden", "a server without keys takes no requests of web pages")
        else:
            scope["spct.key"] = key
            await self._app(scope, receive, exchange.send)
            return
        exchange.last = True
        await answer(scope, receive, exchange.send)

    def _note(self, scope: Scope, exchange: _Exchange, seconds: float) -> None:
        route = scope["path"] if scope["path"] in self._routes else "other"
        self._metrics.answered(route, exchange.status, seconds)
        if self._log.requests and route not in QUIET_PATHS:
            fields: dict[str, Any] = {"request": exchange.id, "route": route, "status": exchange.status}
            if "spct.error" in scope:
                fields["error"] = scope["spct.error"]
            if scope.get("spct.key"):
                fields["key"] = scope["spct.key"]
            self._log.write("request", **fields, ms=round(1000 * seconds, 2))


class _Exchange:
    """One request's answer on its way: its id, which the answer carries too, and its status, 0 before it begins.

    The answer is the ``last`` of its connection where its caller was not let in, where its body has not come to an end by
    then, and while the server drains: whoever comes again should not do so on a connection that is about to close.
    """

    def __init__(self, scope: Scope, send: Send, serving: ServerState) -> None:
        self.id = secrets.token_hex(8)
        self.status = 0
        self.last = False
        self._arriving: Callable[[], bool] = scope.get("spct.arriving", bool)
        self._send = send
        self._serving = serving

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = [(b"x-request-id", self.id.encode())]
            if self.last or self._serving.draining or self._arriving():
                own.append((b"connection", b"close"))
            message["headers"] = [*message["headers"], *own]
        await self._send(message)
