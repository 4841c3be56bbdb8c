"""One connection: uvicorn's protocol, with a bound on all that a client can make it keep, and refusals in our own shape.

uvicorn over httptools waits for the end of a head for ever and takes one of any length, adds the fields behind a chunked body
to its headers, reads on what comes after a refusal, takes any number of requests in advance, and keeps an answer for as long
as its client does not read it. Here each of these ends: with a refusal where the client can still be told, else by closing.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

import orjson
from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from spct.serve.limits import Limits

FIELDS = 128
"""Header fields of a request, and of what follows a chunked body."""
URL_BYTES = 16 * 2**10
ASKING_FOR_ANOTHER = (b"upgrade", b"connection", b"http2-settings")
AHEAD = 32
"""Requests that a connection may send before the one under way is answered."""
LINGER_S = 2.0
"""How long, and up to ``body_bytes``, a refused client may go on sending: one that is cut off at once never reads why."""


class Connection(HttpToolsProtocol):
    """Closes a connection whose head takes longer than ``limits.head_s``, or more than ``limits.head_bytes``.

    The read that a head begins in is not counted, but for its whole fields: that is 256 kB at most.
    """

    limits = Limits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.parser: Any = _Parser(self)
        self._in_head = self._in_trailer = False
        self._raw_bytes = self._field_bytes = self._fields = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._fault: tuple[int, str] | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._dropped_bytes = 0
        self._unread_since: float | None = None
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_ended()
        if self._ending is not None:
            self._ending.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ending is not None:
            self._dropped_bytes += len(data)
            if self._dropped_bytes > self.limits.body_bytes:
                self.transport.abort()
            return
        begun = self._in_head or self._in_trailer
        super().data_received(data)
        if self.transport.is_closing() or self._ending is not None:
            return
        if begun and (self._in_head or self._in_trailer):
            self._raw_bytes += len(data)
        if self._raw_bytes > self.limits.head_bytes:
            self._refuse(431, self._too_long())
        elif self._head_timer is None and (self._in_head or not self._answering):
            self._await_head()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= AHEAD:
            self._stop_parsing(0, "")
        super().on_message_begin()
        self._in_head, self._raw_bytes, self._field_bytes, self._fields = True, 0, 0, 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > URL_BYTES:
            self._stop_parsing(431, f"the address asked for is longer than the {URL_BYTES} bytes that are taken")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a field of the head. One that follows the body is dropped: it could name a key, and come without end."""
        self._fields += 1
        self._field_bytes += len(name) + len(value)
        if self._fields > FIELDS or self._field_bytes > self.limits.head_bytes:
            self._stop_parsing(431, self._too_long())
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.asks_for_another:
            return  # the parser begins again, without what asks for that
        self._head_ended()
        super().on_headers_complete()
        self._fields = self._field_bytes = 0
        # Both see this exchange only once it runs, which is in the loop's next pass.
        cycle: Any = self.cycle
        cycle.transport = _Exchange(self)
        self.scope["spct.arriving"] = lambda: cycle.more_body  # type: ignore[typeddict-unknown-key]

    def on_chunk_header(self) -> None:
        self._in_trailer, self._raw_bytes = True, 0  # unless a body follows: only the last chunk has none

    def on_body(self, body: bytes) -> None:
        self._in_trailer = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_trailer = False
        if not self.parser.asks_for_another:
            super().on_message_complete()

    def head_without_upgrade(self) -> bytes:
        """The head of the request under way, less what asks for another protocol: a server may answer as if it were not there."""
        keep = b"close" if not self.parser.should_keep_alive() else b"keep-alive"
        fields = [(name, value) for name, value in self.headers if name not in ASKING_FOR_ANOTHER]
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/1.1", b"connection: " + keep]
        return b"\r\n".join([*lines, *[name + b": " + value for name, value in fields], b"", b""])

    def on_response_complete(self) -> None:
        if not self.pipeline and self._arriving:
            self.end()
        if self._ending is None:
            super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser has refused, most often because a callback here told it to."""
        status, message = self._fault or (400, "expected a request of HTTP/1.1")
        if status:
            self._refuse(status, message)
        else:
            self.transport.close()

    def resume_writing(self) -> None:
        self._unread_since = None
        super().resume_writing()

    def look(self, now: float, patience_s: float) -> None:
        """Give up a client that has taken nothing to speak of of what was written to it for ``patience_s`` seconds."""
        if self.transport.get_write_buffer_size() == 0:
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since >= patience_s:
            at_once = struct.pack("ii", 1, 0)  # else the kernel goes on offering what it has taken
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            self.transport.abort()

    def end(self) -> None:
        """Close the connection: at once where its client has sent all that it began, else when it could read the answer."""
        if self.transport.is_closing() or self._ending is not None:
            return
        if not (self._in_head or self._arriving):
            self.transport.close()
            return
        self._head_ended()
        self.pipeline.clear()
        if self._answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()
        self.transport.write_eof()
        self._ending = self.loop.call_later(LINGER_S, self.transport.abort)

    @property
    def open(self) -> bool:
        """Whether an answer can still be written."""
        return self._ending is None

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _arriving(self) -> bool:
        """Whether the body of the latest request has not come to its end."""
        return self.cycle is not None and self.cycle.more_body

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.head_s, self._head_late)

    def _head_ended(self) -> None:
        self._in_head, self._raw_bytes = False, 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if self._answering:
            self._await_head()  # the connection's earlier request comes first
        elif self._in_head:
            self._refuse(408, f"the head of the request did not arrive within {self.limits.head_s:g} s")
        else:
            self.transport.close()

    def _too_long(self) -> str:
        return f"the head of the request has more than the {FIELDS} fields or {self.limits.head_bytes} bytes that are taken"

    def _stop_parsing(self, status: int, message: str) -> None:
        """Have the parser take nothing more, and the client told why; by status 0 it is cut off without a word."""
        self._fault = (status, message)
        raise ValueError(message)  # httptools makes its own error of it, which uvicorn answers by send_400_response

    def _refuse(self, status: int, message: str) -> None:
        """Answer what never became a request, and close."""
        kind = "DeadlineError" if status == 408 else "InputError"
        body = orjson.dumps({"error": {"type": kind, "message": message}})
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        self._in_head = True  # there may be more of it on the way
        self.end()


class _Parser:
    """The parser of a connection's requests. It reads a request that asks for another protocol as one that does not.

    Java's HTTP client asks for HTTP/2 with its first request, body and all, and httptools takes what follows the head of such
    a request for that protocol.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parser = HttpRequestParser(connection)

    def feed_data(self, data: bytes) -> None:
        """Raises HttpParserError."""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            if not self.asks_for_another:
                raise
            head, rest = self._connection.head_without_upgrade(), data[upgrade.args[0] :]
            self._parser = HttpRequestParser(self._connection)
            self.feed_data(head + rest)

    @property
    def asks_for_another(self) -> bool:
        """Whether the request under way asks for another protocol; a CONNECT, which is for one, does not ask."""
        return bool(self._parser.should_upgrade()) and self._parser.get_method() != b"CONNECT"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)


class _Exchange:
    """The connection as the exchange of one request sees it: to close it is to ``end`` it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        if self._connection.open:
            self._connection.transport.write(data)

    def is_closing(self) -> bool:
        return self._connection.transport.is_closing()

    def close(self) -> None:
        self._connection.end()


def connection_class(limits: Limits) -> type[Connection]:
    """The protocol of a server with these limits, which uvicorn makes one of for each connection."""
    return type("Connection", (Connection,), {"limits": limits})
