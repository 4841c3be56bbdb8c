"""Takes all connections that wait, not one at a time.

uvloop takes one new connection for each pass of the event loop. With hundreds of requests under way a pass lasts tens of
milliseconds, so that hundreds of new connections, and every probe behind them, would wait for seconds while those that were
taken are served over and over.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

AT_ONCE = 256
PAUSE_S = 1.0


class Accepting:
    """Gives the connections that wait at ``listening`` to protocols that ``make`` makes, beside whoever accepts there too.

    Begins at once, on the running loop. Where a connection cannot be taken (too many open files) it pauses ``PAUSE_S``.
    """

    def __init__(self, listening: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
        self._loop = asyncio.get_running_loop()
        self._make = make
        self._socket = listening.dup()  # a descriptor of its own: the loop watches the other already
        self._socket.setblocking(False)
        self._connecting: set[asyncio.Task[object]] = set()
        self._pausing: asyncio.TimerHandle | None = None
        self._resume()

    def close(self) -> None:
        if self._pausing is not None:
            self._pausing.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _resume(self) -> None:
        self._pausing = None
        self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                self._loop.remove_reader(self._socket)
                self._pausing = self._loop.call_later(PAUSE_S, self._resume)
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._loop.connect_accepted_socket(self._make, connection))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
