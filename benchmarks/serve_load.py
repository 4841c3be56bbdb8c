"""How many requests a second does ``spct serve`` answer, beside an empty endpoint of the same framework and server?

    python -m benchmarks.serve_load                        # needs wrk
    python -m benchmarks.serve_load --only k1 --connections 64 --rounds 5

Both sides get the same requests from wrk, groups of 8 responses in 4.3 kB, all different unless a way says otherwise, in
turns. The floor is FastAPI on uvicorn (uvloop, httptools) with one route that reads the body and answers ``{}``. Ends with
1 if any request failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import uvicorn
from benchmarks.instant import Process, serving, started_module
from fastapi import FastAPI, Request, Response

SCRIPT = Path(__file__).with_suffix(".lua")


@dataclass(frozen=True, slots=True)
class Way:
    """One side of the comparison: the server's options, the path, and how many different requests (0: all)."""

    options: tuple[str, ...]
    path: str = "/v1/reward"
    distinct: int = 0


PLAIN = ("--quiet", "--cache-mb", "0")
WAYS = {
    "k1": Way((*PLAIN, "-k", "1")),
    "judge": Way((*PLAIN, "-k", "1"), "/v1/judge"),
    "k8": Way((*PLAIN, "-k", "8")),
    "logged": Way(("--cache-mb", "0", "-k", "1")),
    "cached": Way(("--quiet", "-k", "1"), distinct=100),
    "shared": Way((*PLAIN, "-k", "1", "--engine-option", "delay-s=0.02"), distinct=1),
}


@dataclass(frozen=True, slots=True)
class Round:
    """What wrk measured. ``cpu_us`` is the server's processor time a request."""

    way: str
    connections: int
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int
    cpu_us: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def measured(way: str, server: Process, path: str, connections: int, seconds: int, first: int, distinct: int) -> Round:
    """One run of wrk."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(SCRIPT)]
    before = server.cpu_s()
    done = subprocess.run(
        [*command, server.url + path, "--", str(first), str(distinct)], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    cpu_us = 1e6 * (server.cpu_s() - before) / max(1, told["requests"])
    return Round(way, connections, **told, cpu_us=cpu_us)


async def compare(ways: list[str], connections: list[int], seconds: int, rounds: int) -> list[Round]:
    """Floor and service in turns, for each way and number of connections."""
    found: list[Round] = []
    floor = await started_module("benchmarks.serve_load", "--floor")
    try:
        for name in ways:
            way = WAYS[name]
            async with serving(*way.options) as server:
                for side in (floor, server):  # warm up
                    measured(name, side, way.path, 8, 1, 0, way.distinct)
                for count in connections:
                    for round_ in range(rounds):
                        first = 0 if way.distinct else 10_000_000 * (1 + len(found) + round_)
                        for side, label in ((floor, f"floor of {name}"), (server, name)):
                            found.append(measured(label, side, way.path, count, seconds, first, way.distinct))
                            print(json.dumps(asdict(found[-1])), file=sys.stderr)
                sources = {kind: server.metric(f'spct_answers_total{{source="{kind}"}}') for kind in SOURCES}
                print(f"{name}: answers {sources}", file=sys.stderr)
    finally:
        await floor.ended()
    return found


SOURCES = ("sampled", "shared", "cached")


def table(found: list[Round]) -> str:
    """Medians over the rounds; ``of floor`` of rates is the median of the rounds' own ratios."""
    lines = ["| way | connections | requests/s | p50 ms | p99 ms | floor/s | of floor | CPU us | floor's | of floor |"]
    lines.append("| --- " + "| ---: " * 9 + "|")
    for name, count in dict.fromkeys((r.way, r.connections) for r in found if not r.way.startswith("floor")):
        mine = [r for r in found if (r.way, r.connections) == (name, count)]
        floor = [r for r in found if (r.way, r.connections) == (f"floor of {name}", count)]
        mid = {key: statistics.median(getattr(r, key) for r in mine) for key in ("rate", "p50_ms", "p99_ms", "cpu_us")}
        floor_rate, floor_cpu_us = (statistics.median(getattr(r, key) for r in floor) for key in ("rate", "cpu_us"))
        ratio = statistics.median(a.rate / b.rate for a, b in zip(mine, floor, strict=True))
        lines.append(
            f"| {name} | {count} | {mid['rate']:,.0f} | {mid['p50_ms']:.1f} | {mid['p99_ms']:.1f} | {floor_rate:,.0f} | "
            f"{ratio:.2f} | {mid['cpu_us']:,.0f} | {floor_cpu_us:,.0f} | {floor_cpu_us / mid['cpu_us']:.2f} |"
        )
    return "\n".join(lines)


async def serve_floor() -> None:
    """The empty endpoint, under every path that is measured."""
    app = FastAPI(openapi_url=None)

    @app.post("/v1/reward")
    @app.post("/v1/judge")
    async def empty(request: Request) -> Response:
        await request.body()
        return Response(b"{}", media_type="application/json")

    listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    print(json.dumps({"event": "listening", "address": address}), file=sys.stderr, flush=True)
    config = uvicorn.Config(app, http="httptools", lifespan="off", log_config=None, access_log=False, backlog=4096)
    await uvicorn.Server(config).serve(sockets=[listening])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=WAYS, help="one way; may be given again (default: all)")
    parser.add_argument("--connections", type=int, action="append", help="(default: 1, 64 and 512)")
    parser.add_argument("--seconds", type=int, default=5, help="of one run of wrk")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--floor", action="store_true", help="only serve the empty endpoint")
    given = parser.parse_args()
    if given.floor:
        from spct.cli.stopping import new_runner

        with new_runner() as runner:
            runner.run(serve_floor())
        return
    found = asyncio.run(
        compare(given.only or list(WAYS), given.connections or [1, 64, 512], given.seconds, given.rounds)
    )
    print(table(found))
    if any(r.failed for r in found):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
