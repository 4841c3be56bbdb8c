"""What a run of so many judgments costs to make, merge, vote on anew and export: CPU seconds, memory, bytes on the disk.

    python -m benchmarks.scale --judgments 10000 100000 1000000

k = 8, two responses, judgments of 280 characters by a model that answers at once. Two halves are judged and merged; what is
merged is voted on anew, exported and summed up, each by its own command. CPU seconds and the largest resident memory are those
of the command; the last columns are the growth from the size before, for ten times as many judgments.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import orjson

ROOT = Path(__file__).parent.parent
SPCT = [sys.executable, "-c", "from spct.cli import main; main()"]
MODEL = "benchmarks.batches:CountedEngine:quiet"
K = 8


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds and MiB of resident memory at the most."""

    cpu_s: float
    mib: float


def cost(*arguments: str) -> Cost:
    """What a command of spct costs; it must not fail."""
    command = [*SPCT, *arguments]
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    process = os.posix_spawn(command[0], command, os.environ, file_actions=quiet)
    _, status, used = os.wait4(process, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"{' '.join(arguments)}: {os.waitstatus_to_exitcode(status)}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def steps(folder: Path, judgments: int) -> tuple[dict[str, Cost], float]:
    """The cost of each step, and bytes a judgment of the merged run."""
    halves = [folder / "a", folder / "b"]
    found: dict[str, Cost] = {}
    count = judgments // K // 2
    for place, half in enumerate(halves):
        items = half.with_suffix(".jsonl")
        with items.open("wb") as file:
            for n in range(place * count, (place + 1) * count):
                row = {"prompt": f"question {n}", "responses": [f"answer {n}", f"{n} is it"], "best": n % 2}
                file.write(orjson.dumps(row) + b"\n")
        found[f"judge, half {place + 1}"] = cost(
            "judge", str(items), "--model", MODEL, "-k", str(K), "--out", str(half)
        )
    merged = folder / "merged"
    found["merge"] = cost("merge", *map(str, halves), "--out", str(merged))
    found["vote"] = cost("vote", str(merged), "--summary")
    found["vote, k = 4, mean"] = cost("vote", str(merged), "-k", "4", "--rule", "mean", "--summary")
    found["vote --json"] = cost("vote", str(merged), "--json")
    found["export, Parquet"] = cost("export", str(merged), "--to", str(folder / "run.parquet"))
    found["runs"] = cost("runs", str(merged))
    return found, (merged / "run.sqlite").stat().st_size / judgments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judgments", type=int, nargs="+", default=[10_000, 100_000])
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    before: dict[str, Cost] = {}
    for judgments in options.judgments:
        folder = Path(tempfile.mkdtemp(prefix="spct-scale-"))
        try:
            found, size = steps(folder, judgments)
        finally:
            shutil.rmtree(folder)
        print(f"{judgments:,} judgments on {judgments // K:,} items, {size:,.0f} bytes a judgment")
        for name, own in found.items():
            grown = (
                ""
                if name not in before
                else f"  x {own.cpu_s / before[name].cpu_s:5.1f}  x {own.mib / before[name].mib:4.1f}"
            )
            print(
                f"  {name:20} {own.cpu_s:8.1f} s CPU {own.cpu_s / judgments * 1e6:8.0f} us a judgment {own.mib:7.0f} MiB{grown}"
            )
        sys.stdout.flush()
        before = found


if __name__ == "__main__":
    main()
