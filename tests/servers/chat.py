"""A local OpenAI-compatible server that answers each request by the next behaviour of its script.

A behaviour is ``async (call, writer) -> None``: it writes the bytes of a reply, or does to the connection what a bad
server does. Everything that arrives is kept in ``calls``, so a test can say exactly what was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

import orjson


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it arrived; ``body`` is the decoded JSON, empty for a GET."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def n(self) -> int:
        return self.body.get("n", 1)

    @property
    def seed(self) -> int:
        return self.body.get("seed", 0)


Behaviour = Callable[[Call, asyncio.StreamWriter], Awaitable[None]]


class ChatServer:
    """``async with ChatServer(...) as server:`` listens at ``server.base_url``.

    ``script`` is used up one behaviour a chat request; then ``then`` answers all others. ``models`` and ``props`` are
    the bodies of GET /v1/models and /props, 404 where None. ``port`` 0 takes a free one.
    """

    def __init__(
        self,
        then: Behaviour,
        script: Iterable[Behaviour] = (),
        *,
        models: Behaviour | None = None,
        props: Behaviour | None = None,
        port: int = 0,
    ) -> None:
        self._port = port
        self._then = then
        self._script = list(script)
        self._gets = {"/v1/models": models, "/props": props}
        self._connections: set[asyncio.Task[None]] = set()
        self.calls: list[Call] = []
        self.chats: list[Call] = []
        self.most_at_once = 0
        self.arrived = asyncio.Event()
        self.disconnected = asyncio.Event()
        self._at_once = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Stop listening and cut every connection, as a server that is killed does."""
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while (call := await _read_call(reader, writer)) is not None:
                await self._answer(call, reader, writer)
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls.append(call)
        if call.method == "GET":
            behaviour = self._gets.get(call.path.partition("?")[0]) or not_found
        else:
            self.chats.append(call)
            self.arrived.set()
            behaviour = self._script.pop(0) if self._script else self._then
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        answering = asyncio.ensure_future(behaviour(call, writer))
        gone = asyncio.ensure_future(_until_closed(reader))
        try:
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
            else:
                self.disconnected.set()
                writer.close()
        finally:
            self._at_once -= 1
            answering.cancel()
            gone.cancel()


async def _until_closed(reader: asyncio.StreamReader) -> None:
    """Return when the client has gone. Looks now and then: reading would take the first byte of a next request."""
    while not reader.at_eof():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def _read_call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Call | None:
    start = await reader.read(1)
    if not start.isalpha():  # the end, or something that is not HTTP, as a TLS handshake
        if start:
            await write_reply(writer, 400, b"")
        return None
    head = start + await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    raw = await reader.readexactly(int(headers.get("content-length", 0)))
    return Call(method, path, headers, orjson.loads(raw) if raw else {})


async def write_reply(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes,
    headers: dict[str, str] | None = None,
    length: int | None = None,
) -> None:
    """A whole HTTP/1.1 reply. ``length`` lies about the body's."""
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name}: {value}" for name, value in {"Content-Type": "application/json", **(headers or {})}.items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    await writer.drain()


async def not_found(call: Call, writer: asyncio.StreamWriter) -> None:
    await write_reply(writer, 404, b'{"error": {"message": "Not Found"}}')
