"""A judge model behind an OpenAI-compatible server, in this process or in one of its own that a test can kill.

It scores each response by its first digit, 1 where it has none.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Self

from servers.behaviours import choice, completion
from servers.chat import ChatServer, write_reply
from spct.engines.scripted import judgment_text

SHOWN = re.compile(r"\[Begin response \d+ \w+\]\n(.*?)\n\[End response", re.DOTALL)
MODULE = Path(__file__)


async def judges(call, writer):
    """n equal judgments."""
    shown = SHOWN.findall(call.body["messages"][-1]["content"])
    text = judgment_text([int(found[0]) if (found := re.findall(r"[1-9]", text)) else 1 for text in shown])
    await write_reply(writer, 200, completion([choice(text, j) for j in range(call.n)]))


class JudgingProcess:
    """``with JudgingProcess() as engine:`` answers at ``engine.base_url``, 20 ms a request; at the same after ``restart``."""

    def __init__(self) -> None:
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def restart(self) -> None:
        """Return when it listens."""
        command = [sys.executable, "-m", "servers.judging", str(self._port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=MODULE.parent.parent)
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        self.restart()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


async def _serve(port: int) -> None:
    async def judges_slowly(call, writer):
        await asyncio.sleep(0.02)
        await judges(call, writer)

    async with ChatServer(judges_slowly, port=port) as server:
        print(server.base_url.split(":")[2].split("/")[0], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
