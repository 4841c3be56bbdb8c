"""Plain HTTP/1.1 connections, against a server that sends exactly the bytes of the test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from yarl import URL

from spct.engines.http.errors import BrokenReplyError, NoConnectionError, NotHTTPError
from spct.engines.http.plain import PlainPoster

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Server:
    """Answers the requests of all its connections with ``replies`` in turn; an empty one hangs up."""

    def __init__(self, *replies: list[bytes]) -> None:
        self.replies = list(replies)
        self.requests: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while self.replies:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head + await reader.readexactly(int(head.split(b"Content-Length: ")[1])))
                for piece in self.replies.pop(0):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        writer.close()


@contextlib.asynccontextmanager
async def posting(server: Server, path: str = "/v1/x", timeout_s: float = 5.0) -> AsyncIterator[PlainPoster]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    poster = PlainPoster(URL(f"http://127.0.0.1:{port}{path}"), {"User-Agent": "spct"}, timeout_s)
    yield poster
    poster.close()
    listening.close()


async def replied(*pieces: bytes) -> bytes:
    async with posting(Server(list(pieces))) as poster:
        return (await poster.post(b"{}")).body


async def test_what_is_sent():
    server = Server([OK])
    async with posting(server, "/v1/a b?key=1") as poster:
        exchange = await poster.post(b"body")
    assert (exchange.status, exchange.body) == (200, b"hi")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert body == b"body"
    first, host, *rest = head.split(b"\r\n")
    assert first == b"POST /v1/a%20b?key=1 HTTP/1.1"
    assert host.startswith(b"Host: 127.0.0.1:")
    assert rest == [b"User-Agent: spct", b"Content-Length: 4"]


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n"
FRAMINGS = {
    "length": (OK, b"hi"),
    "length in capitals": (b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH:  2 \r\nX: y\r\n\r\nhi", b"hi"),
    "nothing": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    "chunks": (CHUNKED + b"\r\n", b"abc0123456789"),
    "chunks and trailers": (CHUNKED + b"Expires: never\r\n\r\n", b"abc0123456789"),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK, b"hi"),
}


@pytest.mark.parametrize(("reply", "body"), FRAMINGS.values(), ids=FRAMINGS.keys())
async def test_a_reply_is_read_whole_however_it_is_cut(reply, body):
    assert await replied(reply) == body
    assert await replied(*[reply[at : at + 1] for at in range(len(reply))]) == body
    assert await replied(reply[:20], reply[20:]) == body


async def test_the_end_of_the_connection_ends_a_reply_without_a_length():
    server = Server([b"HTTP/1.0 200 OK\r\n\r\nall ", b"of it"])
    async with posting(server) as poster:
        assert (await poster.post(b"")).body == b"all of it"


async def test_connections_are_used_again_unless_the_server_closes():
    server = Server([OK], [OK], [OK.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n")], [OK])
    async with posting(server) as poster:
        for _ in range(4):
            assert (await poster.post(b"")).body == b"hi"
    assert server.connections == 2


async def test_an_idle_connection_that_was_closed_is_not_used():
    server = Server([OK])
    async with posting(server) as poster:
        await poster.post(b"")  # its last reply: the server hangs up
        await asyncio.sleep(0.05)
        server.replies.append([OK])
        assert (await poster.post(b"")).body == b"hi"
    assert server.connections == 2


async def test_headers_are_read_in_any_case():
    async with posting(Server([b"HTTP/1.1 429 Slow\r\nRETRY-AFTER: 3 \r\nContent-Length: 0\r\n\r\n"])) as poster:
        exchange = await poster.post(b"")
    assert (exchange.status, exchange.headers["Retry-After"]) == (429, "3")


FAULTS = {
    "cut short": (BrokenReplyError, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"),
    "cut in a chunk": (BrokenReplyError, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhi"),
    "cut in the head": (ConnectionError, b"HTTP/1.1 200 OK\r\nContent"),
    "no reply": (ConnectionError, b""),
    "another protocol": (NotHTTPError, b"SSH-2.0-OpenSSH"),
    "no status": (NotHTTPError, b"HTTP/1.1 OK\r\n\r\n"),
    "no chunk size": (NotHTTPError, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhi\r\n"),
}


@pytest.mark.parametrize(("error", "reply"), FAULTS.values(), ids=FAULTS.keys())
async def test_a_fault_is_told_and_ends_the_connection(error, reply):
    server = Server([reply])
    async with posting(server) as poster:
        with pytest.raises(error):
            await poster.post(b"")
        server.replies.append([OK])
        assert (await poster.post(b"")).body == b"hi"
    assert server.connections == 2


async def test_a_reply_that_does_not_come_in_time():
    async with posting(Server([b"HTTP/1.1 200 OK\r\n"], [OK]), timeout_s=0.05) as poster:
        with pytest.raises(TimeoutError):
            await poster.post(b"")


async def test_nobody_there():
    poster = PlainPoster(URL("http://127.0.0.1:1/"), {}, 5.0)
    with pytest.raises(NoConnectionError) as caught:
        await poster.post(b"")
    assert isinstance(caught.value.reason, ConnectionRefusedError)
