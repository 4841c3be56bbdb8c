"""One connection: uvicorn's protocol, with limits on a request's head and every refusal in our own shape.

uvicorn over httptools waits for the end of a head for ever and takes one of any length: a client that sends a byte a
minute would hold a connection, one that sends headers without end would fill the memory.
"""

from __future__ import annotations

import asyncio

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from spct.serve.limits import Limits


class Connection(HttpToolsProtocol):
    """Closes a connection whose head takes longer than ``limits.head_s``, or more than ``limits.head_bytes``.

    The read that a head begins in is not counted: that is 256 kB at most.
    """

    limits = Limits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._in_head, self._head_bytes = False, 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_ended()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        begun = self._in_head
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and begun:
            self._head_bytes += len(data)
        if self._head_bytes > self.limits.head_bytes:
            message = f"the head of the request is larger than the {self.limits.head_bytes} bytes that are taken"
            self._refuse(431, "InputError", message)
        elif self._head_timer is None and (self._in_head or not self._answering):
            self._await_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._head_ended()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "InputError", "expected a request of HTTP/1.1")

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.head_s, self._head_late)

    def _head_ended(self) -> None:
        self._in_head, self._head_bytes = False, 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if self._answering:
            self._await_head()  # the connection's earlier request comes first
        elif self._in_head:
            self._refuse(
                408, "DeadlineError", f"the head of the request did not arrive within {self.limits.head_s:g} s"
            )
        else:
            self.transport.close()

    def _refuse(self, status: int, type: str, message: str) -> None:
        """Answer what never became a request, and close."""
        self._head_ended()
        body = orjson.dumps({"error": {"type": type, "message": message}})
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()


def connection_class(limits: Limits) -> type[Connection]:
    """The protocol of a server with these limits, which uvicorn makes one of for each connection."""
    return type("Connection", (Connection,), {"limits": limits})
