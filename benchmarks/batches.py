"""A batch on two local Ray nodes against one process: equal verdicts, kills, repeated questions, and what Ray costs.

    python -m benchmarks.batches --items 100000 --kills 5 --drivers 3      equal to the byte, whoever is killed
    python -m benchmarks.batches --items 20000 --actors 1 2 4              samples a second over one process
    python -m benchmarks.batches --items 200 --model embedded:smollm2-135m -k 2 --shard-items 25 --actors 2

The judge model answers at once by a checksum of prompt and seed, and with kills it writes every sample that it is asked for into a
file that outlives it, so that whatever is asked twice is counted. Nodes are processes of this machine and share its disk, unless
``--lose-disks`` gives each a folder of its own that a new node does not find. Exits with 1 where verdicts differ.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from benchmarks.instant import ByChecksum, checksum_of

from spct.engines.engine import SampleBatch, SampleRequest
from spct.engines.scripted import judgment_text

ROOT = Path(__file__).parent.parent
SPCT = [sys.executable, "-c", "from spct.cli import main; main()"]
TEXTS = [judgment_text([1 + v % 10, 1 + v // 10 % 10]) for v in range(100)]
IN_FLIGHT = 64
KINDS = (
    ("actors", b"JudgeActor"),
    ("driver", b"spct.cli"),
    ("raylets and GCS", b"raylet/raylet"),
    ("raylets and GCS", b"gcs_server"),
)
"""What a process is by its command line."""


class CountedEngine(ByChecksum):
    """Answers at once; with a file for a name it writes there what it was asked."""

    def __init__(self, name: str) -> None:
        super().__init__("counted", TEXTS, IN_FLIGHT)
        self._log = None if name == "quiet" else Path(name).open("ab", buffering=0)  # noqa: SIM115 - open as long as the engine

    async def sample(self, request: SampleRequest) -> SampleBatch:
        if self._log is not None:
            checksum, seeds = checksum_of(request), range(request.seed, request.seed + request.n)
            self._log.write("".join(f"{checksum:08x} {seed}\n" for seed in seeds).encode())
        return await super().sample(request)


@contextlib.contextmanager
def cluster(nodes: int, cpus: int, folder: Path, lose_disks: bool) -> Iterator[Any]:
    """A local cluster whose head judges nothing; gives a function that kills a node at random and puts another in its place."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    disks = iter(range(1000))

    def added() -> Any:
        disk = folder / (f"disk-{next(disks)}" if lose_disks else "disk")
        disk.mkdir(exist_ok=True)
        environment = {"TMPDIR": str(disk), "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
        return made.add_node(num_cpus=cpus, object_store_memory=256 * 2**20, env_vars=environment)

    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 256 * 2**20}
    made = Cluster(initialize_head=True, head_node_args=head)
    there = [added() for _ in range(nodes)]

    def replace(rng: random.Random) -> None:
        gone = there.pop(rng.randrange(len(there)))
        made.remove_node(gone, allow_graceful=False)
        there.append(added())

    try:
        yield made.address, replace
    finally:
        made.shutdown()


class Watch:
    """CPU seconds of everything below this process, by what it is, looked at twice a second: where the time of a batch goes."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[str, float]] = {}
        self._before: dict[int, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watch:
        self._look()
        self._before = {pid: cpu for pid, (_, cpu) in self._seen.items()}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def by_kind(self) -> dict[str, float]:
        found: dict[str, float] = defaultdict(float)
        for pid, (kind, cpu) in self._seen.items():
            found[kind] += cpu - self._before.get(pid, 0.0)
        return dict(found)

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            self._look()

    def _look(self) -> None:
        parents: dict[int, int] = {}
        facts: dict[int, tuple[bytes, float]] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError, IndexError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
                cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                facts[int(entry.name)] = ((entry / "cmdline").read_bytes(), cpu)
        for pid, (words, cpu) in facts.items():
            above = parents.get(pid, 0)
            while above > 1 and above != os.getpid():
                above = parents.get(above, 0)
            if above == os.getpid():
                kind = next((name for name, mark in KINDS if mark in words), "Ray's other processes")
                if not words and pid in self._seen:  # it has ended
                    kind = self._seen[pid][0]
                self._seen[pid] = (kind, cpu)


def judged(options: argparse.Namespace, items: Path, out: Path, model: str, *more: str) -> tuple[list[str], Path]:
    """The command that judges the items into ``out``, and where its words go."""
    sampling = ["-k", str(options.k), "--max-tokens", str(options.max_tokens)]
    command = [*SPCT, "judge", str(items), "--model", model, *sampling, "--out", str(out), *more]
    return command, out.with_suffix(".err")


def run(command: list[str], words: Path) -> tuple[float, float]:
    """Wall and CPU seconds of a command and its children that are no cluster's."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with words.open("ab") as err:
        code = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=err, check=False).returncode
    if code not in (0, 1):
        raise SystemExit(f"{' '.join(command)}: {code}\n{words.read_text()[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - begun, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def stored(out: Path) -> list[tuple[Any, ...]]:
    """Items and verdicts, as bytes of the file."""
    with contextlib.closing(sqlite3.connect(out / "run.sqlite")) as db:
        query = "SELECT position, id, i.row, v.row FROM items i LEFT JOIN verdicts v USING (position) ORDER BY position"
        return db.execute(query).fetchall()


def shards_home(out: Path) -> int:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{out / 'run.sqlite'}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM meta WHERE key LIKE 'shard:%'").fetchone()[0])
    except sqlite3.Error:
        return 0


def killed(options: argparse.Namespace, items: Path, folder: Path, whole: Path) -> bool:
    """One batch through all kills, against the run of one process; whether its verdicts are equal."""
    rng, out, log = random.Random(options.seed), folder / "killed", folder / "asked"
    shards = -(-options.items // options.shard_items)
    moments = sorted(
        [*((rng.uniform(0.02, 0.95) * shards, "node") for _ in range(options.kills)),
         *((rng.uniform(0.02, 0.95) * shards, "driver") for _ in range(options.drivers))]
    )  # fmt: skip
    with cluster(2, 2, folder, options.lose_disks) as (address, replace):
        more = ["--ray", address, "--actors", "2", "--shard-items", str(options.shard_items), "--resume"]
        command, words = judged(options, items, out, f"benchmarks.batches:CountedEngine:{log}", *more)
        process = _begun(command, words)
        for moment, what in moments:
            while shards_home(out) < moment and process.poll() is None:
                time.sleep(0.05)
            time.sleep(rng.uniform(0, 1))
            print(f"killed a {what} at {shards_home(out)} of {shards} shards home")
            if what == "node":
                replace(rng)
            else:
                process.send_signal(signal.SIGKILL)
                process.wait()
                process = _begun(command, words)
        if process.wait() not in (0, 1):
            raise SystemExit(words.read_text()[-2000:])
    asked = Counter(log.read_bytes().split(b"\n")[:-1])
    twice = sum(asked.values()) - len(asked)
    bound = (options.kills + 2 * options.drivers) * 2 * IN_FLIGHT * options.k
    print(f"{len(asked):,} samples, {twice:,} asked twice; in flight at the kills: {bound:,} at most")
    same = stored(out) == stored(whole)
    print(f"verdicts after the kills: {'equal to the byte' if same else 'DIFFERENT'}")
    return same


def _begun(command: list[str], words: Path) -> subprocess.Popen[bytes]:
    with words.open("ab") as err:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=err)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("-k", type=int, default=4)
    parser.add_argument("--shard-items", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=0, help="Nodes killed during a batch.")
    parser.add_argument("--drivers", type=int, default=0, help="Drivers killed during the same batch.")
    parser.add_argument("--lose-disks", action="store_true")
    parser.add_argument("--actors", type=int, nargs="*", default=[])
    parser.add_argument("--max-tokens", type=int, default=1024)
    parser.add_argument("--model", default="benchmarks.batches:CountedEngine:quiet")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    folder = Path(tempfile.mkdtemp(prefix="spct-batches-"))
    try:
        items = folder / "items.jsonl"
        rows = ({"prompt": f"question {n}", "responses": [f"answer {n}", f"{n} is it"]} for n in range(options.items))
        items.write_bytes(b"\n".join(map(orjson.dumps, rows)))
        whole = folder / "whole"
        wall, cpu = run(*judged(options, items, whole, options.model))
        samples = options.items * options.k
        print(f"{options.items:,} items, k = {options.k}, {options.shard_items:,} items a shard")
        print(f"one process: {wall:.1f} s, {cpu:.1f} s of CPU, {samples / cpu:,.0f} samples a second of it")
        same = [killed(options, items, folder, whole)] if options.kills or options.drivers else []
        for actors in options.actors:
            with cluster(2, max(1, actors), folder, False) as (address, _):
                out = folder / f"actors-{actors}"
                more = ["--ray", address, "--actors", str(actors), "--shard-items", str(options.shard_items)]
                command, words = judged(options, items, out, options.model, *more)
                with Watch() as watch:
                    wall, _ = run(command, words)
            told = [line for line in words.read_text().splitlines() if line.startswith(("done:", "time:"))]
            spent = watch.by_kind()
            rate = samples / sum(spent.values())
            print(
                f"{actors} actors: {wall:.1f} s, {sum(spent.values()):.1f} s of CPU, {rate:,.0f} samples a second of it"
            )
            print("  CPU: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in sorted(spent.items())))
            print("\n".join(f"  {line}" for line in told))
            same.append(stored(out) == stored(whole))
            print(f"  verdicts: {'equal to the byte' if same[-1] else 'DIFFERENT'}")
        return 0 if all(same) else 1
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
