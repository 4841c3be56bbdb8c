"""Posts over plain HTTP/1.1 connections: as much of HTTP as a chat completion needs, at a fraction of a general client's cost.

For servers reached directly over http://, as those one runs oneself, where the client and not the network sets the pace.
Replies end by Content-Length, by chunks or by the end of the connection. One request at a time on a connection; those
that stay open are used again. Failure rule: ``post`` returns the whole reply or raises NoConnectionError, BrokenReplyError,
NotHTTPError, UnreadableReplyError (too large), TimeoutError or ConnectionError; the connection is then closed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from multidict import CIMultiDict
from yarl import URL

from spct.engines.http_errors import BrokenReplyError, NoConnectionError, NotHTTPError, UnreadableReplyError

LARGEST_REPLY_BYTES = 64 * 2**20
CONNECT_S = 30.0

_STATUS = re.compile(rb"http/1\.([01]) (\d\d\d)(?=[ \r]|$)")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*(?:\r\n|$)")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked")
_CLOSE = re.compile(rb"\r\nconnection:[^\r\n]*close")
_CHUNK_SIZE = re.compile(rb"([0-9a-f]{1,12})[ \t]*(?:;.*)?", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A whole reply. ``head`` is its status line and headers as they came."""

    status: int
    head: bytes
    body: bytes

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by name in any case."""
        pairs = [line.partition(":") for line in self.head.decode("latin-1").split("\r\n")[1:]]
        return CIMultiDict([(name.strip(), value.strip()) for name, _, value in pairs])


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
    """One connection: sends a request, collects the reply."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.open = True
        self._loop = loop
        self._received = bytearray()
        self._reply: _Framing | None = None
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
        self._received += data
        try:
            self._read()
        except (NotHTTPError, UnreadableReplyError) as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._reply is not None and self._reply.until_close and exc is None:
            self._done(bytes(self._received[self._reply.start :]))
        elif self._reply is not None:
            self._fail(BrokenReplyError("the connection ended before the reply did"))
        else:
            self._fail(ConnectionResetError("the connection ended without a reply"))

    def _read(self) -> None:
        """Finish the reply if all of it is there."""
        if self._reply is None:
            self._reply = _framing(self._received)
        if self._reply is not None and (body := self._reply.body(self._received)) is not None:
            self._done(body)
        elif len(self._received) > LARGEST_REPLY_BYTES:
            raise UnreadableReplyError(f"is larger than {LARGEST_REPLY_BYTES >> 20} MiB")

    def _done(self, body: bytes) -> None:
        reply, waiter = self._reply, self._waiter
        assert reply is not None
        if reply.closes:
            self.open = False
            self._transport.close()
        head = bytes(self._received[: reply.start - len(_HEAD_END)])
        self._received, self._reply, self._waiter = bytearray(), None, None
        if waiter is not None and not waiter.done():
            waiter.set_result(Exchange(reply.status, head, body))

    def _fail(self, error: Exception) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)


class _Framing:
    """Where a reply's body begins, at ``start``, and how it ends."""

    def __init__(self, status: int, start: int, length: int | None, chunked: bool, closes: bool) -> None:
        self.status = status
        self.start = start
        self.until_close = length is None and not chunked
        self.closes = closes or self.until_close
        self._length = length
        self._chunked = chunked
        self._at = start
        self._chunks: list[bytes] = []

    def body(self, received: bytearray) -> bytes | None:
        """The body, without the framing of its chunks, or None while some of it is missing."""
        if self._chunked:
            return self._dechunked(received)
        if self._length is None or len(received) < self.start + self._length:
            return None
        return bytes(received[self.start : self.start + self._length])

    def _dechunked(self, received: bytearray) -> bytes | None:
        while (line_end := received.find(b"\r\n", self._at)) >= 0:
            found = _CHUNK_SIZE.fullmatch(received, self._at, line_end)
            if found is None:
                raise NotHTTPError("a chunk without a size")
            size, begin = int(found[1], 16), line_end + 2
            if size == 0:  # trailers may follow, up to an empty line
                return b"".join(self._chunks) if received.find(_HEAD_END, line_end) >= 0 else None
            if len(received) < begin + size + 2:
                return None
            self._chunks.append(bytes(received[begin : begin + size]))
            self._at = begin + size + 2
        return None


def _framing(received: bytearray) -> _Framing | None:
    """How the reply that begins here is framed, or None until its whole head is there. Raises NotHTTPError."""
    while True:
        if received[:7].lower() != b"http/1."[: len(received)]:
            raise NotHTTPError(bytes(received[:60]).decode("latin-1"))
        end = received.find(_HEAD_END)
        if end < 0:
            return None
        head = bytes(received[:end]).lower()
        found = _STATUS.match(head)
        if found is None:
            raise NotHTTPError(head[:60].decode("latin-1"))
        status, start = int(found[2]), end + len(_HEAD_END)
        if status >= 200:
            break
        del received[:start]  # an interim reply, such as 100 Continue
        if not received:
            return None
    chunked = _CHUNKED.search(head) is not None
    sized = _LENGTH.search(head)
    length = 0 if status in (204, 304) else int(sized[1]) if sized else None
    closes = found[1] == b"0" or _CLOSE.search(head) is not None
    return _Framing(status, start, None if chunked else length, chunked, closes)
