"""Who may see the pages, and what the pages may do: the layer around the application.

A request is answered if its Host is one that the viewer listens on (another site's name that leads here is refused), if it
brings a key where there are keys, and, where it changes something, if it comes from a page of the viewer itself. Every answer
forbids the browser to run, load or send anything that is not the viewer's own.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spct.serve.auth import Keys

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Guard:
    """``hosts`` are the names under which the viewer may be asked for, beside the loopback ones; None takes any."""

    def __init__(self, app: ASGIApp, *, keys: Keys, hosts: Collection[str] | None) -> None:
        self._app = app
        self._keys = keys
        self._hosts = None if hosts is None else LOOPBACK.union(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, method: str, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and ":" in host else host
        if self._hosts is not None and name not in self._hosts:
            return PlainTextResponse(f"spct view does not answer for the host {host!r}; it is not its own", 421)
        if self._keys.name_of(_bearer(headers)) is None:
            asked = {
                "www-authenticate": 'Basic realm="spct view: any name, and the key as the password", charset="UTF-8"'
            }
            return PlainTextResponse(
                "a key of this viewer is needed: any name, and the key as the password", 401, asked
            )
        origin = headers.get("origin")
        if method not in ("GET", "HEAD") and origin is not None and origin.partition("://")[2] != host:
            return PlainTextResponse(f"got a form from {origin}; expected one of this viewer's own", 403)
        return None


def _bearer(headers: Headers) -> bytes:
    """The key that a request brings, as a bearer header: what a browser asks for comes as a password."""
    given = headers.get("authorization", "")
    scheme, _, value = given.partition(" ")
    if scheme.lower() != "basic":
        return given.encode()
    try:
        return b"Bearer " + base64.b64decode(value, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
