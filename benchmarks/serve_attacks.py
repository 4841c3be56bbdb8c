"""What one hostile caller costs ``spct serve``: memory, seconds, and how long it holds the loop that all callers share.

    python -m benchmarks.serve_attacks                     # all, some minutes
    python -m benchmarks.serve_attacks --only types text

Each attack has a server of its own. A row: megabytes sent, what was answered ("cut off": the server ended the connection
without an answer), seconds until then, how much the process grew at its largest, and the longest hold of the loop: in
processor time of its thread, which other jobs do not lengthen, and by the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.instant import Process, started
from benchmarks.probed import MODEL, Held

MB = 10_000_000
OPTIONS = ("--quiet", "-k", "1", "--cache-mb", "0")


@dataclass
class Attacked:
    """A server under attack."""

    process: Process
    held: Held
    idle_mb: float = 0.0
    idle_sockets: int = 0

    @property
    def port(self) -> int:
        return urlsplit(self.process.url).port or 0

    def peak_mb(self) -> float:
        status = Path(f"/proc/{self.process.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.process.pid}/clear_refs").write_text("5")


@contextlib.asynccontextmanager
async def attacked(*options: str) -> AsyncIterator[Attacked]:
    held, path = Held.new()
    process = await started(*OPTIONS, "--engine-option", f"probe={path}", *options, model=MODEL)
    server = Attacked(process, held)
    try:
        await send(server, request("/v1/reward", json.dumps({"query": "q", "responses": ["1", "2"]}).encode()))
        await asyncio.sleep(0.2)
        server.idle_mb, server.idle_sockets = process.rss_mb(), open_sockets(server)
        server.forget_peak()
        held.reset()
        yield server
    finally:
        if process.process.poll() is None:
            await process.ended(signal.SIGKILL)


def request(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


async def send(server: Attacked, data: bytes, seconds: float = 120.0) -> str:
    """The status of the first answer to these bytes, or "cut off"."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        async with asyncio.timeout(seconds):
            writing = asyncio.create_task(_written(writer, data))
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            await reader.readexactly(int(length or 0))
            writing.cancel()
            return head.split()[1].decode()
    except (OSError, asyncio.IncompleteReadError):
        return "cut off"
    except TimeoutError:
        return f"none in {seconds:g} s"
    finally:
        writer.transport.abort()


async def _written(writer: asyncio.StreamWriter, data: bytes) -> None:
    with contextlib.suppress(OSError):
        for at in range(0, len(data), 2**18):
            writer.write(data[at : at + 2**18])
            await writer.drain()


async def flood(server: Attacked, begin: bytes, piece: bytes, seconds: float = 4.0, connections: int = 1) -> str:
    """Send ``begin`` and then ``piece`` again and again; how much the server took."""
    sent = 0

    async def one() -> None:
        nonlocal sent
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        reading = asyncio.create_task(reader.read())
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(seconds):
                writer.write(begin)
                while not writer.transport.is_closing():
                    writer.write(piece)
                    await writer.drain()
                    sent += len(piece)
        reading.cancel()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await reading
        writer.transport.abort()

    await asyncio.gather(*[one() for _ in range(connections)])
    return f"took {sent / 1e6:,.0f} MB"


def repeated(opening: str, piece: str, closing: str) -> bytes:
    """10 MB of JSON: ``opening``, pieces with commas between them, ``closing``."""
    return (opening + ",".join([piece] * (MB // (len(piece) + 1))) + closing).encode()


def numbered(opening: str, closing: str) -> bytes:
    return (opening + ",".join(f'"k{i}":1' for i in range(MB // 11)) + closing).encode()


GROUP = '{"query":"q","responses":'
TYPES: dict[str, tuple[str, bytes]] = {
    "numbers for responses": ("/v1/reward", repeated(GROUP + "[", "1", "]}")),
    "empty lists for responses": ("/v1/reward", repeated(GROUP + "[", "[]", "]}")),
    "objects for responses": ("/v1/judge", repeated(GROUP + "[", '{"a":1}', "]}")),
    "responses of two characters": ("/v1/judge", repeated(GROUP + "[", '"ab"', "]}")),
    "numbers for groups": ("/v1/judge/batch", repeated('{"items":[', "1", "]}")),
    "groups without a query": ("/v1/reward", repeated('{"groups":[', '{"responses":["a"]}', "]}")),
    "turns that are numbers": ("/v1/judge", repeated('{"query":[', "1", '],"responses":["a"]}')),
    "unknown keys": ("/v1/judge", numbered(GROUP + '["a"],', "}")),
    "the same key": ("/v1/reward", repeated(GROUP + '["a"],', '"query":1', "}")),
    "unknown keys, another's shape": ("/rerank", numbered('{"query":"q","documents":["a"],', "}")),
    "documents that are lists": ("/rerank", repeated('{"query":"q","documents":[', "[]", "]}")),
    "numbers for texts": ("/score", repeated('{"text_1":"q","text_2":[', "1", "]}")),
    "labels": ("/v1/openrlhf/reward", repeated('{"query":["qa"],"prompts":["q"],"labels":[', "[]", "]}")),
    "one number": ("/v1/judge", b'{"query":' + b"1" * MB + b"}"),
    "nested lists": ("/v1/judge", b"[" * MB),
    "200 nested lists, again and again": ("/v1/judge", repeated("[", "[" * 150 + "]" * 150, "]")),
    "a list of the right kind, spaces": ("/v1/judge", GROUP.encode() + b" " * MB + b'["a"]}'),
}


def text_bodies() -> Iterator[tuple[str, str, bytes]]:
    """Requests within the limits, 4 to 15 MB each."""
    plain = ("The sea was quiet that morning, and the boats lay still along the wall. " * 3000)[:199_000]
    for name, text, n in (
        ("20 plain responses", plain, 20),
        ("75 plain responses", plain, 75),
        ("20 of non-ASCII text", plain.replace("a", "é")[:99_000] + "😀", 20),
        ("20 of quotes", '"\\' * 60_000, 20),
        ("128 of 100,000 characters", plain[:100_000], 128),
    ):
        for path in ("/v1/reward", "/v1/judge"):
            yield (
                f"{name}, {path}",
                path,
                json.dumps({"query": "q", "responses": [f"{i} {text}" for i in range(n)]}, ensure_ascii=False).encode(),
            )
    groups = [
        {"query": f"q{i}", "responses": [str(i), "b " + plain[:25_000], "c " + plain[:25_000]]} for i in range(250)
    ]
    yield "250 groups of 50 kB, batch", "/v1/judge/batch", json.dumps({"items": groups}).encode()
    many = [{"query": f"q{i}", "responses": [str(j) for j in range(128)]} for i in range(256)]
    yield "256 groups of 128, batch", "/v1/judge/batch", json.dumps({"items": many}).encode()
    few = {"query": "q", "responses": [str(j) for j in range(128)]}
    yield "128 short responses, k = 64", "/v1/judge", json.dumps({**few, "options": {"k": 64}}).encode()
    yield (
        "the same, win_rate",
        "/v1/reward",
        json.dumps({**few, "options": {"k": 64}, "normalisation": "win_rate"}).encode(),
    )
    yield "the same, adaptive", "/v1/reward", json.dumps({**few, "options": {"k": 64, "adaptive": 0.999}}).encode()
    yield (
        "20 plain responses, k = 20",
        "/v1/reward",
        json.dumps({"query": "q", "responses": [f"{i} {plain}" for i in range(20)], "options": {"k": 20}}).encode(),
    )
    yield "the same, blocks of 2", "/v1/reward", json.dumps({**few, "options": {"k": 64, "block_size": 2}}).encode()
    groups = [{"query": f"{i}", "responses": [str(j) for j in range(128)]} for i in range(20)]
    yield (
        "20 groups of 128, k = 64, batch",
        "/v1/judge/batch",
        json.dumps({"items": groups, "options": {"k": 64}}).encode(),
    )
    ends = "a" + "</s>" * 49_000
    yield (
        "OpenRLHF, 20 responses that end 49,000 times",
        "/v1/openrlhf/reward",
        json.dumps({"query": [f"q{i}{ends}" for i in range(20)], "prompts": ["q"] * 20}).encode(),
    )


async def of_types() -> None:
    for name, (path, body) in TYPES.items():
        await measured(name, len(body), (), partial(send, data=request(path, body)))


async def of_texts() -> None:
    for name, path, body in text_bodies():
        await measured(name, len(body), (), partial(send, data=request(path, body)))


CHUNKED = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n%s\r\n"
TRAILERS = b"".join(b"t%d: %s\r\n" % (i, b"v" * 20) for i in range(5000))


async def of_connections() -> None:
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        keys.write_text(f"alice {'0' * 64}\n")
        keyed = ("--keys", str(keys))
        refused = CHUNKED % (b"/v1/judge", b"")
        whole = request("/v1/judge", b"{}")
        floods: list[tuple[str, tuple[str, ...], bytes, bytes, int]] = [
            ("trailers after a 401", keyed, refused + b"0\r\n", TRAILERS, 1),
            ("trailers of a request to a server without keys", (), refused + b"2\r\n{}\r\n0\r\n", TRAILERS, 1),
            ("trailers after a 404", (), CHUNKED % (b"/nowhere", b"") + b"0\r\n", TRAILERS, 1),
            ("chunks after a 401", keyed, refused, b"10000\r\n" + b"x" * 65536 + b"\r\n", 1),
            ("a body after a 401", keyed, whole.replace(b": 2\r\n", b": 9999999999\r\n"), b"x" * 65536, 1),
            ("short headers, 20 connections", keyed, b"GET / HTTP/1.1\r\n", b"a:\r\n" * 60_000, 20),
            ("pipelined requests without a key, 20 connections", keyed, b"", b"GET / HTTP/1.1\r\n\r\n" * 10_000, 20),
            ("pipelined requests, unread answers", (), b"", b"GET /metrics HTTP/1.1\r\n\r\n" * 1000, 20),
        ]
        for name, options, begin, piece, connections in floods:
            await measured(
                name, 0, options,
                partial(flood, begin=begin, piece=piece, connections=connections),
            )  # fmt: skip


def large_answer(seed: int) -> bytes:
    """A request that is answered with 12 MB, more than the kernel takes off a server's hands."""
    groups = [{"query": f"{seed} {i}", "responses": [str(j) for j in range(128)]} for i in range(20)]
    return request("/v1/judge/batch", json.dumps({"items": groups, "options": {"k": 64}}).encode())


def unread(server: Attacked, data: bytes) -> socket.socket:
    """A caller that asks and reads nothing, while it is kept."""
    one = socket.create_connection(("127.0.0.1", server.port))
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.sendall(data)
    return one


async def of_readers() -> None:
    """10 callers whose answers nobody reads: what the server still has to send after 40 s."""

    async def held(server: Attacked) -> str:
        kept = [unread(server, large_answer(i)) for i in range(10)]
        await asyncio.sleep(40)
        told = f"holds {server.process.rss_mb() - server.idle_mb:,.0f} MB, {open_sockets(server)} connections"
        for one in kept:
            one.close()
        return told

    for options in ((), ("--limit", "answer_s=10")):
        with contextlib.suppress(SystemExit):  # an option that a version before this did not have
            await measured(" ".join(["answers that nobody reads", *options]), 0, options, held)


def open_sockets(server: Attacked) -> int:
    """Sockets that the server has open besides those of its own."""
    files = Path(f"/proc/{server.process.process.pid}/fd").iterdir()
    return sum(file.readlink().name.startswith("socket:") for file in files) - server.idle_sockets


async def of_drains() -> None:
    """Seconds from SIGTERM to the end, with --drain 20."""
    rollout = {"query": "q", "response": "1", "hold_s": 0, "group": {"run": "r", "id": "g", "size": 2, "member": "1"}}
    held = request("/v1/reward", json.dumps(rollout).encode())

    async def abandoned(server: Attacked) -> str:
        await send(server, held)
        return await ended(server)

    async def not_read(server: Attacked) -> str:
        with unread(server, large_answer(0)):
            await asyncio.sleep(10)
            return await ended(server)

    async def ended(server: Attacked) -> str:
        begun = time.monotonic()
        code = await server.process.ended()
        return f"ended with {code} after {time.monotonic() - begun:.1f} s"

    await measured("SIGTERM with an abandoned held rollout", len(held), ("--drain", "20"), abandoned)
    await measured("SIGTERM with an unread answer", 0, ("--drain", "20"), not_read)


async def measured(
    name: str, sent: int, options: tuple[str, ...], attack: Callable[[Attacked], Awaitable[str]]
) -> None:
    """Print the row of one attack."""
    async with attacked(*options) as server:
        begun = time.monotonic()
        told = await attack(server)
        seconds = time.monotonic() - begun
        await asyncio.sleep(0.5)  # the probe has had its turn
        grown: Any = f"{server.peak_mb() - server.idle_mb:,.0f}" if server.process.process.poll() is None else ""
        size = f"{sent / 1e6:.1f}" if sent else ""
        held = server.held
        print(
            f"| {name} | {size} | {told} | {seconds:.2f} | {grown} | {held.cpu_ms:,.0f} | {held.ms:,.0f} |", flush=True
        )


ATTACKS = {
    "types": of_types,
    "connections": of_connections,
    "readers": of_readers,
    "drains": of_drains,
    "texts": of_texts,
}


async def run(names: list[str]) -> None:
    print("| attack | MB sent | answer | seconds | grown MB | loop held, ms of processor | by the clock |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for name in names:
        await ATTACKS[name]()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(ATTACKS), default=list(ATTACKS))
    asyncio.run(run(parser.parse_args().only))


if __name__ == "__main__":
    main()
