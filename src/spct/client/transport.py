"""One connection pool to one reward service: asks until there is an answer, or says why there is none.

A full queue (429), a draining or restarting server (503, no connection, a connection lost in the middle) and a held
rollout are waited out for ``patience_s`` seconds after a call's first failure: asking again is safe, since a service
shares the work of equal requests and knows a rollout again by its member id. Any other refusal is raised at once, as the class
of ``spct.errors`` that the service names. Cancelling a call closes its connection, and with it its sampling.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from pydantic import ValidationError

from spct import errors
from spct.aio import OF_PARENTS
from spct.engines.http.address import Address
from spct.engines.http.errors import Endpoint, Transient, of_exception
from spct.engines.http.limits import backoff_s, retry_after_s
from spct.engines.http.told import read_error
from spct.errors import (
    BusyError,
    EngineAuthError,
    EngineUnreachableError,
    InputError,
    RejectedError,
    ReplyError,
    SpctError,
)
from spct.logs import logger
from spct.wire.parts import In, Told, faults_of, json_fault

_log = logger(__name__)

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.25, 5.0
CONNECT_S = 30.0
HELD_S = 0.1
WAITED_OUT = (408, 425, 429, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Patience:
    """``timeout_s`` bounds one try, ``patience_s`` how long a call goes on trying after its first failure."""

    timeout_s: float = 1800.0
    patience_s: float = 300.0

    def __post_init__(self) -> None:
        for name, value in (("timeout_s", self.timeout_s), ("patience_s", self.patience_s)):
            if not 0 <= value < float("inf") or (name == "timeout_s" and value == 0):
                raise InputError(f"{name} is {value!r}; expected a finite number of seconds")


@dataclass(frozen=True, slots=True)
class Held:
    """The service holds a rollout whose group is not judged yet: no failure, ask again."""

    wait_s: float


class Transport:
    """Posts to and gets from one service; belongs to one event loop at a time."""

    def __init__(self, address: Address, patience: Patience) -> None:
        self._address = address
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = os.getpid()

    @property
    def shown(self) -> str:
        return self._address.endpoint.shown

    async def call(
        self,
        method: str,
        path: str,
        kind: type[Told],
        asked: In | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Told:
        """The answer to ``asked``, read as what it should be; ``headers`` go with every try. Raises SpctError."""
        payload = None if asked is None else encode(asked)
        clock = _Clock(self._patience.patience_s)
        while True:
            answer = await self._try(method, path, payload, headers)
            if isinstance(answer, bytes):
                return decode(answer, self._address.endpoint, kind)
            await clock.wait(answer, self._address.endpoint)

    async def stream(self, path: str, kind: type[Told], missing: Callable[[], In | None]) -> AsyncIterator[Told]:
        """The lines of streamed answers, until ``missing()``, the next request, is None.

        A stream that breaks off is asked for again, with what is missing then; whatever arrives renews the patience.
        """
        endpoint, clock = self._address.endpoint, _Clock(self._patience.patience_s)
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_S, sock_read=self._patience.timeout_s)
        while (asked := missing()) is not None:
            try:
                async with self._send("POST", path, encode(asked), timeout) as response:
                    if response.status == 200:
                        async for line in _lines(response):
                            clock.reset()
                            yield decode(line, endpoint, kind)
                        failure: Transient | Held = Transient("ended its answer early")
                    else:
                        failure = await self._failure(response)
            except SpctError:
                raise
            except (aiohttp.ClientError, OSError) as error:
                failure = self._of_exception(error)
            if missing() is not None:
                await clock.wait(failure, endpoint)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None and self._process == os.getpid() and self._loop is asyncio.get_running_loop():
            await session.close()

    async def _try(
        self, method: str, path: str, payload: bytes | None, headers: Mapping[str, str] | None
    ) -> bytes | Transient | Held:
        try:
            async with self._send(method, path, payload, headers=headers) as response:
                if response.status == 200:
                    answer: bytes = await response.read()
                    return answer
                return await self._failure(response)
        except SpctError:
            raise  # some of ours are OSErrors too
        except (aiohttp.ClientError, OSError) as error:
            return self._of_exception(error)

    def _send(
        self,
        method: str,
        path: str,
        payload: bytes | None,
        timeout: aiohttp.ClientTimeout | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        url = self._address.url(*path.split("/"))
        timeout = timeout or aiohttp.ClientTimeout(total=self._patience.timeout_s, sock_connect=CONNECT_S)
        return self._open().request(method, url, data=payload, headers=headers, timeout=timeout, allow_redirects=False)

    def _open(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._process != os.getpid():
            OF_PARENTS.append(self._session)
            self._session, self._process = None, os.getpid()
        if self._session is None or self._loop is not loop:
            if self._session is not None and self._loop is not None and not self._loop.is_closed():
                raise InputError("this client is in use on another event loop; make one client per loop")
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._address.headers,
            )
            self._loop = loop
        return self._session

    def _of_exception(self, error: Exception) -> Transient:
        failure = of_exception(self._address.endpoint, error, self._patience.timeout_s)
        if isinstance(failure, SpctError):
            raise failure
        return failure

    async def _failure(self, response: aiohttp.ClientResponse) -> Transient | Held:
        """What a refusal is to be waited out as; raises it if waiting cannot help."""
        endpoint, status = self._address.endpoint, response.status
        told = read_error(await response.read())
        message = endpoint.clean(told.message) or "(empty reply)"
        named = str(told.fields.get("type", ""))
        wait_s = retry_after_s(response.headers, time.time())
        if named == "PendingError":
            return Held(HELD_S if wait_s is None else wait_s)
        if status in (429, 503) or (status in WAITED_OUT and known_error(named) is None):
            return Transient(f"answers {status}: {message}", wait_s, throttled=status == 429)
        raise refusal(endpoint, status, named, message)


def encode(asked: In) -> bytes:
    """JSON without the fields that are None: what a service fills in by itself."""
    return asked.model_dump_json(exclude_none=True).encode()


def decode(raw: bytes, endpoint: Endpoint, kind: type[Told]) -> Told:
    """Raises ReplyError for an answer that is not what it should be."""
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        if json_fault(error) is not None:
            shown = endpoint.clean(raw[:200].decode(errors="replace"))
            raise ReplyError(f"{endpoint.shown} answers with something that is no JSON: {shown!r}") from error
        raise ReplyError(
            f"{endpoint.shown} answers with something that is no {kind.__name__} ({faults_of(error)}); "
            "is it spct serve of the same version?"
        ) from error


def known_error(name: str) -> type[SpctError] | None:
    """The class of ``spct.errors`` with this name."""
    kind = getattr(errors, name, None) if name else None
    return kind if isinstance(kind, type) and issubclass(kind, SpctError) else None


def refusal(endpoint: Endpoint, status: int, named: str, message: str) -> SpctError:
    """The error to raise for a refusal: the class that the service names, or what its status means."""
    kind = known_error(named)
    if kind is not None:
        return kind(message)
    if status in (401, 403):
        return EngineAuthError(f"{endpoint.shown} refuses the key ({status}): {message}; set {endpoint.key_variable}")
    if status in (404, 405):
        return InputError(f"{endpoint.shown} has no such path ({status}): is it the address of spct serve?")
    if 400 <= status < 500:
        return RejectedError(f"{endpoint.shown} refuses the request ({status}): {message}")
    return ReplyError(f"{endpoint.shown} answers {status}: {message}")


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The whole lines of a body, of whatever length; aiohttp's own take no line beyond its buffer."""
    started = b""
    async for part in response.content.iter_any():
        *lines, started = (started + part).split(b"\n")
        for line in lines:
            yield line


class _Clock:
    """How long one call has been failing."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._since: float | None = None
        self._tries = 0

    def reset(self) -> None:
        """Something arrived."""
        self._since, self._tries = None, 0

    async def wait(self, failure: Transient | Held, endpoint: Endpoint) -> None:
        """Sleep before another try; raises BusyError or EngineUnreachableError when patience ends."""
        if isinstance(failure, Held):
            self.reset()
            await asyncio.sleep(failure.wait_s)
            return
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        self._tries += 1
        wait_s = failure.wait_s
        if wait_s is None:
            wait_s = min(backoff_s(self._tries, FIRST_BACKOFF_S), LONGEST_BACKOFF_S)
        if now + wait_s - self._since > self._patience_s:
            after = f"after {self._tries} tries in {now - self._since:.0f} s of {self._patience_s:g} s patience"
            if failure.throttled:
                raise BusyError(f"{endpoint.shown} {failure.what}, {after}", wait_s)
            raise EngineUnreachableError(
                f"no answer from the reward service at {endpoint.shown} {after}: it {failure.what}; "
                "start it with spct serve, or raise patience_s"
            )
        level = logging.WARNING if self._tries == 1 else logging.INFO
        _log.log(level, "%s does not answer; try %d in %.1f s", endpoint.shown, self._tries + 1, wait_s)
        await asyncio.sleep(wait_s * random.uniform(1.0, 1.1))  # not all callers in one instant
