"""What comes before a request is one: heads that are slow, endless or none."""

import asyncio
import contextlib
import json
import time

import pytest

from serve.live import PAIR, live, until
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
    async with live(limits=SHORT) as server, connected(server) as (reader, writer):
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
