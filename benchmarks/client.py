"""How near `spct judge` comes to a bare client loop: the same requests sent four ways to one local server, in turns.

    python -m benchmarks.client                     # the server answers at once
    python -m benchmarks.client --latency-ms 100    # and beside what the concurrency allows

``bare``: aiohttp, orjson and uvloop, one reply after another decoded and dropped. ``openai``: AsyncOpenAI. ``engine``:
``OpenAIEngine.sample``. ``judge``: the ``spct judge`` command itself: reading, rendering, parsing, voting, storing and
printing. Each way runs in a process of its own on the requests that the judge makes of the items; what is timed is the
sending, for ``judge`` the whole command after its imports.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import uvloop
from benchmarks.servers import instant_server, judgment

from spct.engines.engine import Capabilities, Sample, SampleBatch, SampleRequest
from spct.types import Message, Usage

K = 8
MODES = ("bare", "openai", "engine", "judge")
PARAGRAPH = (
    "The reader asks for a comparison of two ways to keep a small greenhouse warm through a northern winter, one that "
    "stores the heat of the day in water and one that burns pellets at night, with a word on what each costs a year. "
)


@dataclass(frozen=True, slots=True)
class Timing:
    """One run of one way: wall seconds and CPU seconds for so many requests; completions that came back."""

    seconds: float
    cpu_s: float
    requests: int
    completions: int
    peak_mb: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """What every way is given."""

    base_url: str
    items: Path
    in_flight: int


def write_items(path: Path, count: int) -> None:
    """Pairs whose rendered prompt is about 3.9 kB with the shipped template."""
    with path.open("wb") as file:
        for i in range(count):
            row = {
                "id": str(i),
                "prompt": f"Question {i}. {PARAGRAPH * 2}",
                "responses": [f"Answer A{i}. {PARAGRAPH * 4}", f"Answer B{i}. {PARAGRAPH * 4}"],
            }
            file.write(orjson.dumps(row) + b"\n")


class Recorder:
    """An engine that keeps the requests it is asked and answers them with well-formed judgments."""

    model_id = "recorder:instant"
    capabilities = Capabilities(logprobs=True)
    notes = ()

    def __init__(self) -> None:
        self.requests: list[SampleRequest] = []
        self.configuration: Mapping[str, Any] = {}

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        return None

    async def sample(self, request: SampleRequest) -> SampleBatch:
        self.requests.append(request)
        samples = [Sample(judgment(j), "stop", request.seed + j) for j in range(request.n)]
        return SampleBatch(tuple(samples), Usage(requests=1))


async def judge_requests(items: Path) -> list[SampleRequest]:
    """The requests that ``spct judge`` makes of the items, in its order."""
    from spct.items import read_items
    from spct.judges.grm import GRMJudge
    from spct.judges.settings import JudgeSettings
    from spct.run import judge_items

    recorder = Recorder()
    judge = GRMJudge(recorder, JudgeSettings(k=K))
    async for _ in judge_items(judge, read_items(items), in_flight=8):
        pass
    return recorder.requests


def body_of(request: SampleRequest) -> dict[str, Any]:
    return {
        "model": "instant",
        "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": request.max_tokens,
        "seed": request.seed,
        "n": request.n,
    }


async def side_by_side(
    send: Callable[[SampleRequest], Awaitable[int]], requests: Iterable[SampleRequest], in_flight: int
) -> int:
    """``send`` all requests, so many at a time; the completions that came back."""
    source = iter(requests)

    async def worker() -> int:
        return sum([await send(request) for request in source])

    return sum(await asyncio.gather(*(worker() for _ in range(in_flight))))


@contextlib.asynccontextmanager
async def bare(work: Work) -> AsyncIterator[Callable[[SampleRequest], Awaitable[int]]]:
    import aiohttp

    headers = {"Content-Type": "application/json", "Authorization": "Bearer none"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=work.in_flight), headers=headers) as session:
        url = f"{work.base_url}/chat/completions"

        async def send(request: SampleRequest) -> int:
            async with session.post(url, data=orjson.dumps(body_of(request))) as response:
                return len(orjson.loads(await response.read())["choices"])

        yield send


@contextlib.asynccontextmanager
async def openai(work: Work) -> AsyncIterator[Callable[[SampleRequest], Awaitable[int]]]:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=work.base_url, api_key="none") as client:

        async def send(request: SampleRequest) -> int:
            return len((await client.chat.completions.create(**body_of(request))).choices)

        yield send


@contextlib.asynccontextmanager
async def engine(work: Work) -> AsyncIterator[Callable[[SampleRequest], Awaitable[int]]]:
    from spct.engines.openai import OpenAIEngine

    engine = OpenAIEngine("instant", base_url=work.base_url, concurrency=work.in_flight)
    await engine.start()

    async def send(request: SampleRequest) -> int:
        return len((await engine.sample(request)).samples)

    yield send
    await engine.close()


WAYS = {"bare": bare, "openai": openai, "engine": engine}


async def time_sending(mode: str, work: Work) -> Timing:
    requests = await judge_requests(work.items)
    async with WAYS[mode](work) as send:
        await side_by_side(send, requests[:1000], work.in_flight)
        started, cpu = time.perf_counter(), time.process_time()
        completions = await side_by_side(send, requests, work.in_flight)
        return Timing(time.perf_counter() - started, time.process_time() - cpu, len(requests), completions)


def time_judging(work: Work) -> Timing:
    """The command itself, run directory and JSON output included."""
    from spct.cli import spct
    from spct.cli.judge import judge  # noqa: F401  (imported before the clock starts)
    from spct.engines import openai  # noqa: F401

    with (
        tempfile.TemporaryDirectory() as out,
        Path(os.devnull).open("w") as devnull,
        contextlib.redirect_stdout(devnull),
    ):
        command = ["judge", str(work.items), "--model", "openai:instant", "--base-url", work.base_url, "-k", str(K)]
        command += ["--concurrency", str(work.in_flight), "--out", f"{out}/run", "--json"]
        started, cpu = time.perf_counter(), time.process_time()
        code = spct.main(command, standalone_mode=False)
        seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    if code:
        raise SystemExit(f"spct judge ended with {code}")
    with work.items.open("rb") as file:
        verdicts = sum(1 for _ in file)
    return Timing(seconds, cpu_s, verdicts * 2, verdicts * K)


def run_worker(mode: str, work: Work) -> None:
    """Time one way and print the Timing as JSON."""
    timing = time_judging(work) if mode == "judge" else uvloop.run(time_sending(mode, work))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(json.dumps({**asdict(timing), "peak_mb": peak_mb}))


def measure(mode: str, work: Work) -> Timing:
    """Run one way in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.client", "--worker", mode, work.base_url, str(work.items)]
    done = subprocess.run([*command, "--in-flight", str(work.in_flight)], stdout=subprocess.PIPE, text=True, check=True)
    return Timing(**json.loads(done.stdout.splitlines()[-1]))


def table(timings: dict[str, list[Timing]], ideal_per_s: float | None) -> str:
    """Markdown: medians over the rounds, and the median of each round's ratio to bare."""
    lines = [
        "| way | completions/s | requests/s | CPU us/request | peak MB | of bare |"
        + (" of ideal |" if ideal_per_s else ""),
        "| --- | ---: | ---: | ---: | ---: | ---: |" + (" ---: |" if ideal_per_s else ""),
    ]
    for mode, rounds in timings.items():
        completions = statistics.median(t.completions / t.seconds for t in rounds)
        requests = statistics.median(t.requests / t.seconds for t in rounds)
        cpu_us = statistics.median(1e6 * t.cpu_s / t.requests for t in rounds)
        peak_mb = max(t.peak_mb for t in rounds)
        base = timings.get("bare")
        ratio = statistics.median(
            (t.completions / t.seconds) / (b.completions / b.seconds) for t, b in zip(rounds, base, strict=True)
        ) if base else float("nan")  # fmt: skip
        line = f"| {mode} | {completions:,.0f} | {requests:,.0f} | {cpu_us:.0f} | {peak_mb} | {ratio:.2f} |"
        lines.append(line + (f" {requests / ideal_per_s:.3f} |" if ideal_per_s else ""))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", nargs=3, metavar=("MODE", "URL", "ITEMS"), help=argparse.SUPPRESS)
    parser.add_argument(
        "--mode", action="append", choices=MODES, help="one of the ways; may be repeated [default: all]"
    )
    parser.add_argument("--items", type=int, default=2500, help="verdicts; 8 completions each")
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.worker:
        mode, base_url, items = options.worker
        return run_worker(mode, Work(base_url, Path(items), options.in_flight))
    modes = options.mode or list(MODES)
    timings: dict[str, list[Timing]] = {mode: [] for mode in modes}
    with tempfile.TemporaryDirectory() as folder, instant_server(options.latency_ms) as base_url:
        work = Work(base_url, Path(folder) / "items.jsonl", options.in_flight)
        write_items(work.items, options.items)
        for _ in range(options.rounds):
            for mode in modes:
                timings[mode].append(measure(mode, work))
    ideal_per_s = 1000 * options.in_flight / options.latency_ms if options.latency_ms else None
    print(table(timings, ideal_per_s))
    return None


if __name__ == "__main__":
    main()
