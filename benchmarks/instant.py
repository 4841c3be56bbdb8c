"""A judge model that answers at once, and ``spct serve`` over it in a process of its own: for measuring the service.

Its scores are a function of the whole prompt, so every reward can be checked against a judge in this process, and a reward
that belongs to another request is seen. Named on the command line as ``--model benchmarks.instant:InstantEngine:judge``.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any
from urllib.request import urlopen

from spct.engines.engine import Capabilities, Sample, SampleBatch, SampleRequest
from spct.engines.scripted import judgment_text
from spct.types import Message, Usage
from spct.voting.orders import keyed_hash

ROOT = Path(__file__).parent.parent
MODEL = "benchmarks.instant:InstantEngine:judge"
RESPONSES = 8
VARIANTS = 997


class ByChecksum:
    """Answers with one of ``texts``, chosen by a checksum of prompt and seed."""

    notes = ()
    configuration: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, model_id: str, texts: Sequence[str], parallel: int) -> None:
        self.model_id = model_id
        self.capabilities = Capabilities(seeding="sample", concurrency=parallel)
        self._texts = texts

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        return None

    async def sample(self, request: SampleRequest) -> SampleBatch:
        texts, checksum = self._texts, checksum_of(request)
        samples = [
            Sample(texts[(checksum + seed) % len(texts)], "stop", seed, completion_tokens=200)
            for seed in range(request.seed, request.seed + request.n)
        ]
        return SampleBatch(tuple(samples), Usage(1000, 200 * request.n, requests=1))


def checksum_of(request: SampleRequest) -> int:
    """Of the prompt's last turn."""
    return zlib.crc32(request.messages[-1].content.encode())


class InstantEngine(ByChecksum):
    """Judgments of groups of 8; after ``delay_s`` each."""

    def __init__(self, name: str, *, delay_s: float = 0.0, parallel: int = 64) -> None:
        texts = [judgment_text([1 + keyed_hash(v, i) % 10 for i in range(RESPONSES)]) for v in range(VARIANTS)]
        super().__init__(f"instant:{name}", texts, parallel)
        self._delay_s = delay_s

    async def sample(self, request: SampleRequest) -> SampleBatch:
        if self._delay_s > 0:
            await asyncio.sleep(self._delay_s)
        return await super().sample(request)


def group(number: int) -> dict[str, Any]:
    """A query with 8 responses, 4.3 kB, unlike that of any other number; serve_load.lua sends the same."""
    answer = "The sea was quiet that morning, and the boats lay still along the wall. " * 7
    return {
        "query": f"Story {number}: write a short story about the sea, with a lighthouse, a storm and a letter in it.",
        "responses": [f"Answer {i} to story {number}. {answer}" for i in range(RESPONSES)],
    }


class Process:
    """A running server. Its log goes on to ``log``, nowhere if None."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process, self.url = process, url

    def rss_mb(self) -> float:
        """Memory that the process holds now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def cpu_s(self) -> float:
        """Processor time that it has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metric(self, name: str) -> float:
        """The sum over the lines of ``/metrics`` that begin with ``name``."""
        lines = urlopen(f"{self.url}/metrics").read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    async def ended(self, name: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        self.process.send_signal(name)
        return await asyncio.to_thread(self.process.wait, 90)


async def started(*options: str, model: str = MODEL, log: IO[bytes] | None = None) -> Process:
    """``spct serve`` over the model, listening; port 0 unless the options say otherwise."""
    program = [sys.executable, "-c", "from spct.cli import main; main()"]
    command = [*program, "serve", "--model", model, *(() if "--port" in options else ("--port", "0")), *options]
    return await _listening(command, log)


async def started_module(module: str, *arguments: str) -> Process:
    """Another server of ours that says its address as ``spct serve`` does."""
    return await _listening([sys.executable, "-m", module, *arguments], None)


async def _listening(command: list[str], log: IO[bytes] | None) -> Process:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    process = await asyncio.to_thread(subprocess.Popen, command, stderr=subprocess.PIPE, cwd=ROOT, env=environment)
    assert process.stderr is not None
    while line := await asyncio.to_thread(process.stderr.readline):
        if b'"listening"' in line:
            asyncio.get_running_loop().run_in_executor(None, _pass_on, process.stderr, log)
            return Process(process, json.loads(line)["address"])
        sys.stderr.buffer.write(line)
    raise SystemExit(f"{' '.join(command)} ended with {process.wait()}")


def _pass_on(stream: IO[bytes], log: IO[bytes] | None) -> None:
    for line in stream:
        if log is not None:
            log.write(line)


@asynccontextmanager
async def serving(*options: str, model: str = MODEL, log: IO[bytes] | None = None) -> AsyncIterator[Process]:
    """``started``, and stopped at the end."""
    server = await started(*options, model=model, log=log)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            await server.ended()
