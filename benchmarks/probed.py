"""The judge model of ``benchmarks.instant`` for groups of any size, with a probe of the event loop that it runs on.

The probe wakes every 2 ms and notes the longest time between two of its turns, once by the clock and once in processor
time of the loop's own thread, which other jobs of the machine do not lengthen. Read it with ``Held``.
"""

from __future__ import annotations

import asyncio
import mmap
import struct
import tempfile
import time
from pathlib import Path

from spct.engines.engine import Capabilities, Sample, SampleBatch, SampleRequest
from spct.engines.scripted import judgment_text
from spct.types import Message, Usage

MODEL = "benchmarks.probed:ProbedEngine:judge"
TICK_S = 0.002


class Held:
    """The longest holds of another process's loop since ``reset``: ``ms`` by the clock, ``cpu_ms`` of its processor."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(16))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 16)

    @classmethod
    def new(cls) -> tuple[Held, Path]:
        path = Path(tempfile.mkdtemp()) / "held"
        return cls(path), path

    def reset(self) -> None:
        self._shared[:] = bytes(16)

    def note(self, ms: float, cpu_ms: float) -> None:
        before = struct.unpack("dd", self._shared)
        self._shared[:] = struct.pack("dd", max(before[0], ms), max(before[1], cpu_ms))

    @property
    def ms(self) -> float:
        return float(struct.unpack("dd", self._shared)[0])

    @property
    def cpu_ms(self) -> float:
        return float(struct.unpack("dd", self._shared)[1])


class ProbedEngine:
    """Scores 1 to 10 in turn, in a judgment of a line for each response; after ``delay_s``. ``probe`` is the file of ``Held``."""

    notes = ()

    def __init__(self, name: str, *, probe: str, delay_s: float = 0.0, parallel: int = 64) -> None:
        self.model_id = f"probed:{name}"
        self.capabilities = Capabilities(seeding="sample", concurrency=parallel)
        self.configuration: dict[str, str] = {}
        self._held = Held(Path(probe))
        self._delay_s = delay_s
        self._probing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._probing is None:
            self._probing = asyncio.create_task(self._probe())

    async def close(self) -> None:
        if self._probing is not None:
            self._probing.cancel()

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        return None

    async def sample(self, request: SampleRequest) -> SampleBatch:
        if self._delay_s > 0:
            await asyncio.sleep(self._delay_s)
        n = request.messages[-1].content.count("[Begin response ")
        samples = []
        for seed in range(request.seed, request.seed + request.n):
            samples.append(
                Sample(judgment_text([1 + (seed + i) % 10 for i in range(n)]), "stop", seed, completion_tokens=9)
            )
            await asyncio.sleep(0)  # answers of a server come one by one, too
        return SampleBatch(tuple(samples), Usage(1000, 200 * request.n, requests=1))

    async def _probe(self) -> None:
        while True:
            began, began_cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(TICK_S)
            self._held.note(1000 * (time.perf_counter() - began - TICK_S), 1000 * (time.thread_time() - began_cpu))
