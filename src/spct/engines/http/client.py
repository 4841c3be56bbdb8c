"""One connection pool to the servers of one model: sends a body until a reply can be read, or says why there is none.

Knows about tries, waits, limits and secrets, and nothing about chat. Failure rule: ``post`` returns what was read, or
the server's ``Refusal`` of this very request, or raises an EngineError; cancelling it closes its connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import aiohttp
from yarl import URL

from spct.engines.http import errors as http_errors
from spct.engines.http.address import Address
from spct.engines.http.errors import Endpoint, Failure, Refusal, Transient, UnreadableReplyError
from spct.engines.http.fleet import Fleet, Server
from spct.engines.http.limits import Limits, Pace
from spct.errors import EngineError, EngineUnreachableError, ReplyError
from spct.logs import logger
from spct.wording import count

_log = logger(__name__)

T = TypeVar("T")

CONNECT_S = 30.0
LARGEST_REPLY_BYTES = 64 * 2**20
MOST_REDIRECTS = 5
PATIENCE = 10
"""A throttled try while others are served is not counted, up to this many times the usual tries."""

FAULT_PATIENCE = 4
"""The same for a fault of the server: one prompt that it always fails on must end some time."""


class HTTPClient:
    """Posts JSON to one path of the servers of one model from any number of tasks, ``concurrency`` of them at a time.

    Several ``addresses`` share the load (see ``fleet``). Waits between tries follow what all requests meet (see ``Pace``).
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        limits: Limits,
        *,
        concurrency: int,
        timeout_s: float,
        attempts: int,
        first_backoff_s: float,
        path: tuple[str, ...] = ("chat", "completions"),
    ) -> None:
        self._fleet = Fleet([Server(address, path) for address in addresses])
        self._limits = limits
        self._slots = asyncio.Semaphore(concurrency)
        self._timeout_s = timeout_s
        self._timeout = _timeout(timeout_s, min(CONNECT_S, timeout_s))
        self._attempts = attempts
        self._pace = Pace(first_backoff_s)
        # Headers go with each request and not with the session, which aiohttp tells a proxy as well, the key among them.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
        )

    @property
    def servers(self) -> tuple[Server, ...]:
        return self._fleet.servers

    @property
    def served(self) -> int:
        """Replies that could be read, of all servers."""
        return self._pace.served

    async def close(self) -> None:
        await self._session.close()

    async def get(self, server: Server, url: URL, timeout_s: float) -> tuple[int, bytes] | EngineError | Transient:
        """One try: status and body, or the failure as a value."""
        try:
            status, _, raw = await self._exchange("GET", server, url, None, _timeout(timeout_s, timeout_s / 2))
            return status, raw
        except (aiohttp.ClientError, OSError, UnreadableReplyError) as error:
            return http_errors.of_exception(server.address.endpoint, error, timeout_s)

    async def post(
        self, body: bytes, tokens: float, read: Callable[[bytes], T], prompt: str = "", server: Server | None = None
    ) -> T | Refusal:
        """Send ``body``, about ``tokens`` tokens, and return ``read`` of the reply.

        Several servers are chosen from by ``prompt``; with ``server`` it goes to that one. ``read`` raises
        UnreadableReplyError for a reply worth another try. Raises EngineUnreachableError if nobody takes the last connection,
        ReplyError if there is a server and still no reply after all tries. A try counts unless others are being served: a
        request that only has bad luck is not given up.
        """
        tries = counted = handed_on = 0
        last: Server | None = None
        told: Transient | None = None
        while True:
            served = self._pace.served
            async with self._slots:
                last = server or self._fleet.choose(prompt, time.monotonic(), avoid=last)
                outcome = await self._try(last, body, tokens, read)
            if not isinstance(outcome, Transient):
                return outcome
            tries += 1
            told = outcome if outcome.connected else told
            elsewhere = server is None and self._fleet.others_take(last, time.monotonic())
            if elsewhere and not outcome.answered and handed_on < len(self.servers) - 1:
                handed_on += 1  # a server that is gone costs no try while there is another
            elif not self._is_bad_luck(outcome, tries, served):
                counted += 1
            if counted >= self._attempts:
                raise self._given_up(last, outcome, told, tries)
            _log.debug("try %d at %s failed: it %s", tries, last.address.endpoint.shown, outcome.what)
            if outcome.wait_s:
                _log.info("%s asks to wait for %.1f s", last.address.endpoint.shown, outcome.wait_s)
                last.pause.begin(outcome.wait_s)
            elif not elsewhere:
                await self._pace.wait(tries, answered=outcome.answered)

    def _is_bad_luck(self, failure: Transient, tries: int, served: int) -> bool:
        """Whether others are served while this request fails: ``served`` were, when its last try began."""
        if not failure.answered or self._attempts == 1:
            return False
        patience = PATIENCE if failure.throttled else FAULT_PATIENCE
        others_served = self._pace.served > served or self._pace.is_serving(time.monotonic())
        return others_served and tries < patience * self._attempts

    async def _try(
        self, server: Server, body: bytes, tokens: float, read: Callable[[bytes], T]
    ) -> T | Transient | Refusal:
        endpoint, served = server.address.endpoint, server.served
        headers: Mapping[str, str] = {}
        raw = b""
        server.in_flight += 1
        try:
            await self._limits.wait(tokens)
            await server.pause.over()
            status, headers, raw = await self._exchange("POST", server, server.url, body, self._timeout)
            if status in (200, 201):
                result = read(_without_secrets(raw, endpoint))
                server.serve()
                self._pace.serve(time.monotonic())
                return result
            failure: Failure = http_errors.of_status(endpoint, status, headers, raw, time.time())
        except UnreadableReplyError as error:
            within = http_errors.of_error_within(endpoint, headers, raw, time.time())
            failure = within or Transient(f"sent a reply that {endpoint.clean(str(error))}", answered=True)
        except (aiohttp.ClientError, OSError) as error:
            failure = http_errors.of_exception(endpoint, error, self._timeout_s)
        finally:
            server.in_flight -= 1
        self._limits.correct(-tokens)
        if isinstance(failure, EngineError):
            raise failure
        if isinstance(failure, Refusal):
            return replace(failure, forbidden=failure.forbidden and not self._pace.served)
        if server.served == served:
            server.fail(time.monotonic())
        return failure

    async def _exchange(
        self, method: str, server: Server, url: URL, body: bytes | None, limits: aiohttp.ClientTimeout
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the reply, after redirects within the server.

        Unlike a browser a redirected POST stays a POST, whatever the status: an API has moved, it has not become a page.
        """
        for _ in range(MOST_REDIRECTS):
            async with self._session.request(
                method,
                url,
                data=body,
                headers=server.address.headers,
                timeout=limits,
                proxy=server.proxy,
                allow_redirects=False,
            ) as response:
                raw = await _read(response)
            target = _within_server(url, response)
            if target is None:
                break
            url = target
        return response.status, response.headers, raw

    def _given_up(self, server: Server, last: Transient, told: Transient | None, tries: int) -> EngineError:
        endpoint = server.address.endpoint
        if last.connected:
            return ReplyError(
                f"the server {last.what}; no completion from {endpoint.shown} after {count(tries, 'attempt')}"
            )
        if told is not None and (told.answered or not server.served):
            before = told.what.replace("answers ", "answered ", 1)
        elif server.served:
            before = f"answered {count(server.served, 'request')}"
        else:
            return unreachable(endpoint, last, tries)
        return EngineUnreachableError(
            f"the server at {endpoint.shown} {before}, and then went away ({last.what}), after {count(tries, 'attempt')}; "
            "its own log should say why"
        )


def unreachable(endpoint: Endpoint, last: Transient, tries: int) -> EngineUnreachableError:
    return EngineUnreachableError(
        f"no server answers at {endpoint.shown} ({last.what}) after {count(tries, 'attempt')}; start it or pass --base-url"
    )


def _without_secrets(raw: bytes, endpoint: Endpoint) -> bytes:
    """A server that echoes the key must not get it into a stored sample. Placeholder keys ("none") are words."""
    for secret in endpoint.secrets:
        if len(secret) >= 12 and (found := secret.encode()) in raw:
            raw = raw.replace(found, b"***")
    return raw


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The whole body, decompressed, unless it is larger than any honest reply."""
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > LARGEST_REPLY_BYTES:
            raise UnreadableReplyError(f"is larger than {LARGEST_REPLY_BYTES >> 20} MiB")
    return b"".join(parts)


def _within_server(url: URL, response: aiohttp.ClientResponse) -> URL | None:
    """Where a redirect leads, if it stays with the same scheme, host and port: the key goes nowhere else."""
    location = response.headers.get("Location")
    if response.status not in (301, 302, 307, 308) or not location:
        return None
    try:
        target = url.join(URL(location))
        return target.with_user(None) if target.origin() == url.origin() else None
    except ValueError:
        return None


def _timeout(total_s: float, connect_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total_s, sock_connect=connect_s)
