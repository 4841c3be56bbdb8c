"""Posts over plain HTTP/1.1 connections, at a fraction of a general client's cost: llhttp reads the replies.

For servers reached directly over http://, as those one runs oneself, where the client and not the network sets the pace.
Replies end by Content-Length, by chunks or by the end of the connection. One request at a time on a connection; those
that stay open are used again. Failure rule: ``post`` returns the whole reply or raises NoConnectionError, BrokenReplyError,
NotHTTPError, UnreadableReplyError (too large), TimeoutError or ConnectionError; the connection is then closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import httptools
from multidict import CIMultiDict
from yarl import URL

from spct.engines.http.errors import BrokenReplyError, NoConnectionError, NotHTTPError, UnreadableReplyError

LARGEST_REPLY_BYTES = 64 * 2**20
CONNECT_S = 30.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """A whole reply. ``raw_headers`` are names and values as they came."""

    status: int
    raw_headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by name in any case."""
        pairs = [(name.decode("latin-1"), value.decode("latin-1").strip()) for name, value in self.raw_headers]
        return CIMultiDict(pairs)


class PlainPoster:
    """Posts bodies to one http:// URL, each on an idle connection or a new one."""

    def __init__(self, url: URL, headers: Mapping[str, str], timeout_s: float) -> None:
        self._host, self._port = url.host or "", url.port or 80
        lines = [f"POST {url.raw_path_qs} HTTP/1.1", f"Host: {url.host_port_subcomponent}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._head = "\r\n".join([*lines, "Content-Length: "]).encode("latin-1")
        self._timeout_s = timeout_s
        self._idle: list[_Connection] = []

    async def post(self, body: bytes) -> Exchange:
        """Send ``body`` and return the reply."""
        connection = self._take_idle() or await self._connect()
        exchange = await connection.exchange(b"%b%d\r\n\r\n%b" % (self._head, len(body), body), self._timeout_s)
        if connection.open:
            self._idle.append(connection)
        return exchange

    def close(self) -> None:
        """Close the idle connections; those in use end with their request."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    def _take_idle(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                return connection
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        connecting = loop.create_connection(lambda: _Connection(loop), self._host, self._port)
        try:
            _, connection = await asyncio.wait_for(connecting, min(CONNECT_S, self._timeout_s))
        except OSError as error:  # TimeoutError among them
            raise NoConnectionError(error) from error
        return connection


class _Connection(asyncio.Protocol):
    """One connection: sends a request, collects the reply, which llhttp (``httptools``) reads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.open = True
        self._loop = loop
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = 0
        self._begun = b""
        self._head_read = self._until_close = False
        self._waiter: asyncio.Future[Exchange] | None = None
        self._transport: asyncio.Transport

    async def exchange(self, request: bytes, timeout_s: float) -> Exchange:
        waiter: asyncio.Future[Exchange] = self._loop.create_future()
        self._waiter = waiter
        timer = self._loop.call_later(timeout_s, self._fail, TimeoutError())
        self._transport.write(request)
        try:
            return await waiter
        except BaseException:
            self.abort()
            raise
        finally:
            timer.cancel()

    def abort(self) -> None:
        self.open = False
        self._waiter = None
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by descent

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:  # nobody asked
            self.abort()
            return
        self._begun = self._begun or data[:60]
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(NotHTTPError(self._begun.decode("latin-1")))
        if self._size > LARGEST_REPLY_BYTES:
            self._fail(UnreadableReplyError(f"is larger than {LARGEST_REPLY_BYTES >> 20} MiB"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._until_close and exc is None:
            self.on_message_complete()
        elif self._head_read:
            self._fail(BrokenReplyError("the connection ended before the reply did"))
        else:
            self._fail(ConnectionResetError("the connection ended without a reply"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._head_read = True
        framed = {name.lower() for name, _ in self._headers} & {b"content-length", b"transfer-encoding"}
        self._until_close = not framed and self._parser.get_status_code() not in (204, 304)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._size += len(body)

    def on_message_complete(self) -> None:
        status, headers, body = self._parser.get_status_code(), self._headers, b"".join(self._body)
        self._headers, self._body, self._size = [], [], 0
        self._head_read = self._until_close = False
        if status < 200:  # an interim reply, such as 100 Continue
            return
        self._begun = b""
        if not self._parser.should_keep_alive():
            self.open = False
            self._transport.close()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(Exchange(status, headers, body))

    def _fail(self, error: Exception) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
