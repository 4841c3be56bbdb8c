import asyncio
import contextlib
import socket

import pytest

from spct.serve.accepting import AT_ONCE, Accepting

uvloop = pytest.importorskip("uvloop")


class Greeting(asyncio.Protocol):
    def connection_made(self, transport):
        transport.write(b"hello")
        transport.close()


async def passes_until_taken(listening, count):
    """How often the loop goes round until ``count`` connections that wait have been taken."""
    taken = []

    def make():
        taken.append(1)
        return Greeting()

    accepting = Accepting(listening, make)
    passes = 0
    while len(taken) < count:
        await asyncio.sleep(0)
        passes += 1
    await asyncio.sleep(0.01)
    accepting.close()
    return passes


def test_connections_that_wait_are_taken_together():
    count = AT_ONCE // 2
    with contextlib.ExitStack() as opened:
        listening = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=count))
        clients = [opened.enter_context(socket.create_connection(listening.getsockname())) for _ in range(count)]
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            assert runner.run(passes_until_taken(listening, count)) < count / 4
        for client in clients:
            client.settimeout(10)
        assert [client.recv(5) for client in clients] == [b"hello"] * count
        assert listening.fileno() != -1
