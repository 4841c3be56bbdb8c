"""A run killed again and again and gone on with, and the same run split, judged apart and merged, against one left alone.

    python -m benchmarks.kills --items 1000 --kills 20 --parts 3

Each kill is a ``kill -9`` after a number of verdicts that the seed draws. The verdicts of all three are compared byte for
byte, as printed and as stored; exits with 1 where any differ.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

SCRIPT = """
import asyncio
from spct.engines.scripted import judgment_text

async def judge(request, j):
    seed = request.seed + j
    await asyncio.sleep(0.002 + seed % 5 / 1000)
    return "broken" if seed % 9 == 0 else judgment_text([1 + seed % 10, 1 + seed // 10 % 10, 1 + seed // 100 % 10])
"""


def command(folder: Path, items: Path, *more: str) -> list[str]:
    spct = [sys.executable, "-c", "from spct.cli import main; main()"]
    model = f"scripted:{folder / 'script.py'}:judge"
    return [*spct, "judge", str(items), "--model", model, "-k", "8", "--concurrency", "8", "--json", *more]


def output(*arguments: str) -> bytes:
    return subprocess.run(arguments, capture_output=True, check=True).stdout


def killed_run(folder: Path, items: Path, out: Path, kills: int, count: int, rng: random.Random) -> tuple[bytes, int]:
    """The output of the last session, and how many sessions were killed while they judged."""
    killed = 0
    arguments = command(folder, items, "--out", str(out), "--resume")
    for kill in range(kills):
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout is not None
        stop_at = (kill + 1) * count // (kills + 1) - rng.randrange(count // (2 * kills))
        for _ in range(stop_at):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.stdout.read()
        killed += process.wait() == -signal.SIGKILL
    return output(*arguments), killed


def stored(run: Path) -> list[tuple[int, str]]:
    with sqlite3.connect(run / "run.sqlite") as db:
        return db.execute("SELECT position, row FROM verdicts ORDER BY position").fetchall()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--parts", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="spct-kills-"))
    try:
        (folder / "script.py").write_text(SCRIPT)
        rows = [
            orjson.dumps({"prompt": f"question {n}", "responses": ["a", "b", "c"], "best": n % 3})
            for n in range(options.items)
        ]
        items = folder / "items.jsonl"
        items.write_bytes(b"\n".join(rows))
        whole = output(*command(folder, items, "--out", str(folder / "whole")))
        begun = time.monotonic()
        resumed, killed = killed_run(
            folder, items, folder / "killed", options.kills, options.items, random.Random(options.seed)
        )
        took = time.monotonic() - begun
        parts = []
        for part in range(options.parts):
            begin, end = part * options.items // options.parts, (part + 1) * options.items // options.parts
            (folder / f"{part}.jsonl").write_bytes(b"\n".join(rows[begin:end]))
            parts.append(folder / f"part-{part}")
            output(*command(folder, folder / f"{part}.jsonl", "--out", str(parts[-1])))
        merge = [sys.executable, "-c", "from spct.cli import main; main()", "merge", *map(str, parts)]
        output(*merge, "--out", str(folder / "merged"))
        same = {
            "printed after the kills": resumed == whole,
            "stored after the kills": stored(folder / "killed") == stored(folder / "whole"),
            "stored after the merge": stored(folder / "merged") == stored(folder / "whole"),
        }
        print(f"{options.items:,} items, k = 8, {options.parts} parts merged")
        print(f"killed {killed} of {options.kills} times in {took:.0f} s")
        for what, equal in same.items():
            print(f"{what}: {'equal to the byte' if equal else 'DIFFERENT'}")
        return 0 if all(same.values()) else 1
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
