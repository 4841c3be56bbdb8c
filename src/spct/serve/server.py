"""The process around the application: where it listens, and how it stops.

On SIGTERM or Ctrl-C it drains: what is new is refused with 503, what was accepted is answered, then it exits with 0. The
address goes on answering meanwhile, so that a load balancer sees ``/readyz`` turn and rollouts of open groups still come
in. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from spct.serve.accepting import Accepting
from spct.serve.connection import Connection, connection_class
from spct.serve.log import JsonLog
from spct.serve.state import ServerState

KEEP_ALIVE_S = 75
LAST_ANSWERS_S = 5
LINGER_S = 0.5
"""How long a drained server goes on refusing: callers that come back at once read why, not a connection cut off."""


class Server(uvicorn.Server):
    """uvicorn on sockets that are bound already, but a signal drains before it stops. Made on the loop that serves it."""

    def __init__(self, app: FastAPI, serving: ServerState, log: JsonLog, *, drain_s: float) -> None:
        config = uvicorn.Config(
            app,
            http=connection_class(serving.limits),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=4096,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=LAST_ANSWERS_S,
        )
        super().__init__(config)
        self.address = ""
        self._loop = asyncio.get_running_loop()
        self.longest_stop_s = drain_s + LINGER_S + 2 * LAST_ANSWERS_S
        self._serving = serving
        self._log = log
        self._drain_s = drain_s
        self._draining: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._accepting: list[Accepting] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        if not self.should_exit and sockets:
            self._accepting = [Accepting(each, self._protocol) for each in sockets]
            host, port = sockets[0].getsockname()[:2]
            self.address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            self._looking = asyncio.create_task(self._look())
            self._log.write("listening", address=self.address, model=self._serving.models)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for accepting in self._accepting:
            accepting.close()
        if self._looking is not None:
            self._looking.cancel()
        await super().shutdown(sockets)

    async def _look(self) -> None:
        """Look at every connection now and then, for clients that do not read: one timer for all of them."""
        answer_s = self._serving.limits.answer_s
        while True:
            await asyncio.sleep(min(1.0, answer_s / 4))
            patience_s = min(answer_s, LAST_ANSWERS_S) if self._serving.draining else answer_s
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.look(self._loop.time(), patience_s)

    def _protocol(self) -> asyncio.Protocol:
        """What uvicorn serves one connection with."""
        kind: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = kind(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.stop(signal.Signals(sig).name)

    def stop(self, signal_name: str) -> None:
        """Begin to drain; the second time, stop at once. May be called by any thread."""
        self._loop.call_soon_threadsafe(self._stop, signal_name)

    def _stop(self, signal_name: str) -> None:
        if self._draining is not None:
            self._log.write("stopped", signal=signal_name)
            self.should_exit = self.force_exit = True
            return
        self._draining = asyncio.create_task(self._drain(signal_name))

    async def _drain(self, signal_name: str) -> None:
        serving = self._serving
        self._log.write("draining", signal=signal_name, active=serving.active, cohorts=serving.open_groups)
        if not await serving.drain(self._drain_s):
            self._log.write("drain_timeout", seconds=self._drain_s, active=serving.active)
            await serving.close()
        await asyncio.sleep(LINGER_S)
        self._log.write("drained")
        self.should_exit = True
