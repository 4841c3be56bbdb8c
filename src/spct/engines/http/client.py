"""One connection pool to one server: sends a body until a reply can be read, or says why there is none.

Knows about tries, waits, limits and secrets, and nothing about chat. Failure rule: ``post`` returns what was read, or
the server's ``Refusal`` of this very request, or raises an EngineError; cancelling it closes its connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import aiohttp
from yarl import URL

from spct.engines.http import errors as http_errors
from spct.engines.http.address import Address
from spct.engines.http.errors import Endpoint, Failure, Refusal, Transient, UnreadableReplyError
from spct.engines.http.limits import Limits, backoff_s
from spct.engines.http.proxy import find_proxy
from spct.errors import EngineError, EngineUnreachableError, ReplyError

T = TypeVar("T")

CONNECT_S = 30.0
LARGEST_REPLY_BYTES = 64 * 2**20
MOST_REDIRECTS = 5
PATIENCE = 10
"""A throttled try that others overtook is not counted, up to this many times the usual tries."""


class HTTPClient:
    """Posts JSON to one path of an address from any number of tasks, ``concurrency`` of them at a time."""

    def __init__(
        self,
        address: Address,
        limits: Limits,
        *,
        concurrency: int,
        timeout_s: float,
        attempts: int,
        first_backoff_s: float,
        path: tuple[str, ...] = ("chat", "completions"),
    ) -> None:
        self._url = address.url(*path)
        # With each request and not the session's own, which aiohttp tells the proxy as well, the key among them.
        self._headers = address.headers
        self._endpoint = address.endpoint
        self._limits = limits
        self._slots = asyncio.Semaphore(concurrency)
        self._timeout_s = timeout_s
        self._timeout = _timeout(timeout_s, min(CONNECT_S, timeout_s))
        self._attempts = attempts
        self._first_backoff_s = first_backoff_s
        self._served = 0
        proxy = find_proxy(self._url)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=proxy,
        )

    async def close(self) -> None:
        await self._session.close()

    async def get(self, url: URL, timeout_s: float) -> tuple[int, bytes] | EngineError | Transient:
        """One try: status and body, or the failure as a value."""
        try:
            status, _, raw = await self._exchange("GET", url, None, _timeout(timeout_s, timeout_s / 2))
            return status, raw
        except (aiohttp.ClientError, OSError, UnreadableReplyError) as error:
            return http_errors.of_exception(self._endpoint, error, timeout_s)

    async def post(self, body: bytes, tokens: float, read: Callable[[bytes], T]) -> T | Refusal:
        """Send ``body``, about ``tokens`` tokens, and return ``read`` of the reply.

        ``read`` raises UnreadableReplyError for a reply worth another try. Raises EngineUnreachableError if nobody
        takes the last connection, ReplyError if there is a server and still no reply after all tries.
        """
        tries = counted = 0
        while True:
            served = self._served
            async with self._slots:
                outcome = await self._try(body, tokens, read)
            if not isinstance(outcome, Transient):
                return outcome
            tries += 1
            overtaken = outcome.throttled and self._served > served and tries < PATIENCE * self._attempts
            counted += not overtaken
            if counted >= self._attempts:
                raise self._given_up(outcome, tries)
            if outcome.wait_s:
                self._limits.pause(outcome.wait_s)
            else:
                await asyncio.sleep(backoff_s(tries, self._first_backoff_s))

    async def _try(self, body: bytes, tokens: float, read: Callable[[bytes], T]) -> T | Transient | Refusal:
        await self._limits.wait(tokens)
        try:
            status, headers, raw = await self._exchange("POST", self._url, body, self._timeout)
            if status in (200, 201):
                result = read(self._without_secrets(raw))
                self._served += 1
                return result
            failure: Failure = http_errors.of_status(self._endpoint, status, headers, raw, time.time())
        except UnreadableReplyError as error:
            failure = Transient(f"sent a reply that {self._endpoint.clean(str(error))}")
        except (aiohttp.ClientError, OSError) as error:
            failure = http_errors.of_exception(self._endpoint, error, self._timeout_s)
        self._limits.correct(-tokens)
        if isinstance(failure, EngineError):
            raise failure
        return failure

    async def _exchange(
        self, method: str, url: URL, body: bytes | None, limits: aiohttp.ClientTimeout
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the reply, after redirects within the server.

        Unlike a browser a redirected POST stays a POST, whatever the status: an API has moved, it has not become a page.
        """
        for _ in range(MOST_REDIRECTS):
            async with self._session.request(
                method, url, data=body, headers=self._headers, timeout=limits, allow_redirects=False
            ) as response:
                raw = await _read(response)
            target = _within_server(url, response)
            if target is None:
                break
            url = target
        return response.status, response.headers, raw

    def _without_secrets(self, raw: bytes) -> bytes:
        """A server that echoes the key must not get it into a stored sample. Placeholder keys ("none") are words."""
        for secret in self._endpoint.secrets:
            if len(secret) >= 12 and (found := secret.encode()) in raw:
                raw = raw.replace(found, b"***")
        return raw

    def _given_up(self, last: Transient, tries: int) -> EngineError:
        if not last.connected:
            return unreachable(self._endpoint, last, tries)
        return ReplyError(f"no completion from {self._endpoint.shown} after {_times(tries)}: the server {last.what}")


def unreachable(endpoint: Endpoint, last: Transient, tries: int) -> EngineUnreachableError:
    return EngineUnreachableError(
        f"no server answers at {endpoint.shown} ({last.what}) after {_times(tries)}; start it or pass --base-url"
    )


def _times(tries: int) -> str:
    return f"{tries} attempt{'s' if tries > 1 else ''}"


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
