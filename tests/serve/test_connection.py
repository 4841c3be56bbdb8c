"""What comes before a request is one: heads that are slow, endless or none."""

import asyncio
import contextlib
import json
import socket
import time

import pytest

from serve.live import PAIR, keys_of, live, until
from service.serving import gated
from spct.serve.limits import Limits

HEAD_S = 0.15
SHORT = Limits(head_bytes=4096, head_s=HEAD_S)
BODY = json.dumps(PAIR).encode()
POST = b"POST /v1/reward HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)


@contextlib.asynccontextmanager
async def connected(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.address.rpartition(":")[2]))
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer(reader):
    """The next whole answer: its status and its JSON."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    return int(head.split()[1]), json.loads(await reader.readexactly(length))


async def the_end(reader):
    """Whatever is left until the server closes the connection."""
    return await asyncio.wait_for(reader.read(), 10)


async def test_a_head_that_does_not_arrive_is_not_waited_for():
    async with live(limits=SHORT) as server, connected(server) as (reader, writer):
        for part in (b"POST /v1/reward HTTP/1.1\r\n", b"Host: x\r\n", b"X: "):
            writer.write(part)
            await asyncio.sleep(HEAD_S / 10)
        status, body = await answer(reader)
        assert (status, body["error"]["type"]) == (408, "DeadlineError")
        assert await the_end(reader) == b""


async def test_a_connection_that_says_nothing_is_closed():
    begun = time.monotonic()
    async with live(limits=SHORT) as server, connected(server) as (reader, writer):
        writer.write(b"\r\n")
        assert await the_end(reader) == b""
    assert time.monotonic() - begun >= HEAD_S


async def test_a_head_without_end_is_refused():
    async with live(limits=Limits(head_bytes=4096)) as server, connected(server) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ")
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(b"y" * 10_000)
        status, body = await answer(reader)
        assert (status, body["error"]["type"]) == (431, "InputError")
        assert await the_end(reader) == b""
        writer.close()
        await until(lambda: server.server.server_state.connections == set())


async def test_the_next_head_of_a_connection_has_the_same_time():
    async with live(limits=SHORT) as server, connected(server) as (reader, writer):
        writer.write(POST)
        assert (await answer(reader))[0] == 200
        await asyncio.sleep(1.5 * HEAD_S)  # between requests nothing hurries
        writer.write(POST)
        assert (await answer(reader))[0] == 200
        writer.write(POST[:30])
        assert (await answer(reader))[0] == 408


async def test_a_head_that_is_late_does_not_cut_off_the_answer_before_it():
    gate, engine = gated()
    async with live(engine, limits=SHORT) as server, connected(server) as (reader, writer):
        writer.write(POST)
        await until(lambda: gate.begun == 1)
        writer.write(POST[:30])
        await asyncio.sleep(2 * HEAD_S)
        gate.open.set()
        assert (await answer(reader))[0] == 200
        assert (await answer(reader))[0] == 408


async def test_a_refused_body_that_goes_on_coming_ends_too():
    async with live(limits=SHORT) as server, connected(server) as (reader, writer):
        writer.write(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert (await answer(reader))[0] == 404
        writer.write(b"still ")
        assert await the_end(reader) == b""


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01", b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"]
)
async def test_what_is_no_http_is_refused_in_our_own_shape(garbage, capfd):
    async with live(limits=SHORT) as server, connected(server) as (reader, writer):
        writer.write(garbage)
        status, body = await answer(reader)
        assert (status, body["error"]["type"]) == (400, "InputError")
        assert await the_end(reader) == b""
        assert (await server.get("/healthz")).status == 200


CHUNKED = (
    b"POST /v1/reward HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n%s\r\n"
)
ONE_CHUNK = b"%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)


async def test_what_follows_a_chunked_body_is_no_header():
    keys, (alice,) = keys_of("alice")
    async with live(keys=keys) as server:
        for trailer in (b"Authorization: %s\r\n" % alice.encode(), b"Expect: 100-continue\r\n", b""):
            async with connected(server) as (reader, writer):
                writer.write(CHUNKED % b"" + ONE_CHUNK + trailer + b"\r\n")
                assert (await answer(reader))[0] == 401
        async with connected(server) as (reader, writer):
            writer.write(
                CHUNKED % (b"Authorization: %s\r\n" % alice.encode()) + ONE_CHUNK + b"Origin: http://evil\r\n\r\n"
            )
            assert (await answer(reader))[0] == 200


@pytest.mark.parametrize("trailers", [b"t: v\r\n" * 200, b"t: " + b"v" * 10_000, (b"t: " + b"v" * 300 + b"\r\n") * 20])
async def test_what_follows_a_chunked_body_has_an_end(trailers):
    async with live(limits=SHORT) as server, connected(server) as (reader, writer):
        writer.write(CHUNKED % b"" + ONE_CHUNK[:-5])
        await writer.drain()
        await asyncio.sleep(0.02)
        for at in range(0, len(trailers), 1000):
            writer.write((b"" if at else ONE_CHUNK[-5:]) + trailers[at : at + 1000])
            await asyncio.sleep(0.002)
        status, body = await answer(reader)
        assert (status, body["error"]["type"]) == (431, "InputError")
        assert await the_end(reader) == b""


@pytest.mark.parametrize("head", [b"a:\r\n" * 129, (b"a: " + b"b" * 1000 + b"\r\n") * 5])
async def test_the_fields_of_a_head_are_bounded_even_within_one_read(head):
    async with live(limits=SHORT) as server, connected(server) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
        assert (await answer(reader))[0] == 431
        assert await the_end(reader) == b""


async def test_an_address_without_end_is_refused():
    async with live() as server, connected(server) as (reader, writer):
        writer.write(b"GET /healthz?" + b"a&" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer(reader))[0] == 431


async def test_a_refused_caller_is_let_go_and_can_read_why():
    keys, _ = keys_of("alice")
    async with live(keys=keys) as server, connected(server) as (reader, writer):
        writer.write(POST.replace(b"Content-Length: %d" % len(BODY), b"Content-Length: 3000000")[: -len(BODY)])
        await writer.drain()
        await until(lambda: server.log[-1].get("status") == 401)
        for _ in range(30):
            writer.write(b"x" * 100_000)
            await writer.drain()
        assert (await answer(reader))[0] == 401
        assert await the_end(reader) == b""
        writer.write(POST)  # it is not listened to any more
        writer.close()
        await until(lambda: server.server.server_state.connections == set())
        assert [line.get("status") for line in server.log[1:]] == [401]


async def test_a_refused_caller_that_goes_on_is_cut_off():
    keys, _ = keys_of("alice")
    async with live(keys=keys, limits=Limits(body_bytes=1_000_000)) as server, connected(server) as (_, writer):
        writer.write(CHUNKED % b"")
        with pytest.raises(OSError):
            while True:
                writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                await writer.drain()
        await until(lambda: server.server.server_state.connections == set())


async def test_every_answer_without_a_key_is_the_last_of_its_connection():
    keys, (alice,) = keys_of("alice")
    async with live(keys=keys) as server:
        async with connected(server) as (reader, writer):
            writer.write(POST * 2)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 401 " in head and b"connection: close" in head
            assert b"HTTP/1.1" not in await the_end(reader)
        with_key = POST.replace(b"Host: x", b"Host: x\r\nAuthorization: " + alice.encode())
        async with connected(server) as (reader, writer):
            for _ in range(2):
                writer.write(with_key)
                assert (await answer(reader))[0] == 200


async def test_requests_in_advance_are_bounded():
    gate, engine = gated()
    async with live(engine) as server:
        async with connected(server) as (reader, writer):
            writer.write(POST * 20)
            await until(lambda: gate.begun == 1)
            gate.open.set()
            assert [(await answer(reader))[0] for _ in range(20)] == [200] * 20
        async with connected(server) as (reader, writer):
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
            assert (await the_end(reader)).count(b"200 OK") < 100
        await until(lambda: server.server.server_state.connections == set())


async def test_an_answer_that_nobody_reads_is_given_up():
    async with live(limits=Limits(answer_s=0.2)) as server:
        connections = server.server.server_state.connections
        with socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2]))) as ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await until(lambda: connections)
            (connection,) = connections
            connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            ours.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 4)
            await until(lambda: connection.transport.get_write_buffer_size() > 0)
            await until(lambda: not connections)


async def test_a_connection_that_is_used_for_longer_is_kept():
    async with live(limits=Limits(answer_s=0.2)) as server, connected(server) as (reader, writer):
        for _ in range(8):
            writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(0.06)
            assert (await answer(reader))[0] == 200


H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
UPGRADES = {
    "h2c, as Java's client asks": H2C,
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n",
    "several, in capitals": b"UPGRADE: TLS/1.0, h2c\r\nCONNECTION: keep-alive, UPGRADE\r\n",
}


LENGTH = b"Content-Length: %d\r\n" % len(BODY)


def asking(upgrade, body=BODY, length=LENGTH):
    return (
        b"POST /v1/reward HTTP/1.1\r\nHost: x\r\n"
        + upgrade
        + b"Content-Type: application/json\r\n"
        + length
        + b"\r\n"
        + body
    )


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
async def test_a_request_that_asks_for_another_protocol_is_answered_in_this_one(upgrade):
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    async with live() as server, connected(server) as (reader, writer):
        for request in (asking(upgrade), POST, asking(upgrade, chunked, b"Transfer-Encoding: chunked\r\n")):
            writer.write(request)
            status, body = await answer(reader)
            assert (status, len(body["rewards"])) == (200, 2)
        writer.write(asking(upgrade) + POST + asking(upgrade))  # sent in advance
        assert [(await answer(reader))[0] for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("size", [1, 7, 64, 250])
async def test_such_a_request_may_come_in_pieces(size):
    request = asking(H2C)
    async with live() as server, connected(server) as (reader, writer):
        for at in range(0, len(request), size):
            writer.write(request[at : at + size])
            await writer.drain()
            await asyncio.sleep(0)
        status, body = await answer(reader)
        assert (status, len(body["rewards"])) == (200, 2)


async def test_such_a_request_may_end_its_connection():
    async with live() as server, connected(server) as (reader, writer):
        writer.write(asking(b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n"))
        assert (await answer(reader))[0] == 200
        assert await the_end(reader) == b""
