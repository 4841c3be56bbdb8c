"""How long a re-vote of stored judgments takes, and how it grows.

    python benchmarks/revote.py [--judgments 100000] [--chars 1200]

Makes a run directory of that many judgments (k = 8, four responses, texts of that many characters, rated by the meta
RM ``random``) and times ``spct vote`` on it as a whole process: plain, guided, at k = 4, and with a line per item.
Writing the run is not part of the time. A tenth of it is timed too, for the growth.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.run import RunStore
from spct.types import Item, Judgment, Message, Usage
from spct.voting.orders import slots
from spct.voting.ratings import Rating
from spct.voting.vote import decide

K, N = 8, 4
CASES = {
    "plain": ["--summary"],
    "mean at k = 4": ["--k", "4", "--rule", "mean", "--summary"],
    "guided, k_meta = 4": ["--k-meta", "4", "--summary"],
    "plain, --json": ["--json"],
    "plain, a line per item": [],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judgments", type=int, default=100_000)
    parser.add_argument("--chars", type=int, default=1200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for count in (options.judgments // 10, options.judgments):
            run = Path(folder) / str(count)
            write_run(run, count // K, options.chars)
            size = sum(file.stat().st_size for file in run.iterdir()) / 2**20
            print(f"{count:,} judgments on {count // K:,} items, {size:.0f} MiB")
            for name, arguments in CASES.items():
                seconds = min(timed(run, arguments) for _ in range(3))
                print(f"  {name:24} {seconds:6.2f} s  {count / seconds:10,.0f} judgments/s")


def write_run(path: Path, items: int, chars: int) -> None:
    """A run as ``spct judge`` would have left it; scores lean towards response 0."""
    rng = random.Random(0)
    judge = GRMJudge(ScriptedEngine([]), judge_settings(k=K))
    store = RunStore.create(path, {"settings": orjson.dumps(judge.describe()).decode()})
    for position in range(items):
        item = Item(
            f"q{position}",
            (Message("user", f"question {position}"),),
            tuple(f"answer {i} to question {position}" for i in range(N)),
            best=0,
        )
        judgments = [judged(rng, slot.index, slot.order, chars) for slot in slots(N, K, seed=0, key=item.id)]
        store.add_item(position, item)
        store.record(position, judgments, Usage(1000, 300 * K, 0, K))
        store.record_ratings(position, "random:0", {(j.index, 0, 0): Rating(rng.random()) for j in judgments})
        store.put_verdict(position, decide(judgments, id=item.id, n=N, k=K).as_row())
    store.close()


def judged(rng: random.Random, index: int, order: tuple[int, ...], chars: int) -> Judgment:
    scores = tuple(min(10, rng.randint(1, 8) + 2 * (i == 0)) for i in range(N))
    text = judgment_text([scores[i] for i in order], critique=f"{rng.random()} " + "so it is " * (chars // 9))
    return Judgment(index, order, rng.getrandbits(30), text, "stop", scores, completion_tokens=300)


def timed(run: Path, arguments: list[str]) -> float:
    start = time.perf_counter()
    command = [sys.executable, "-c", "from spct.cli import main; main()", "vote", str(run), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
