"""How long stored judgments take to be voted on and scored again, and how that grows.

    python benchmarks/rescore.py [--k 8] [--replicates 1000]

Makes run directories of synthetic LLMBar pairs (scores 1..10, two orders) of growing size, and times opening (reading
all scores back), the curve, and the intervals, each as ``spct bench --rescore`` does it. CPU seconds, since other work on
the machine changes those least.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

import orjson

from spct.bench.scoring.curve import curve
from spct.bench.scoring.figures import Intervals
from spct.bench.scoring.statistics import Resamples
from spct.bench.scoring.stored import open_stored
from spct.run import RunStore
from spct.types import Item, Judgment, Message, Usage

SUBSETS = ("Natural", "Neighbor", "GPTInst", "GPTOut", "Manual")
ORDERS = ((0, 1), (1, 0))


def write_run(directory: Path, items: int, k: int) -> None:
    draw = random.Random(items)
    store = RunStore.create(directory, {"settings": orjson.dumps({"benchmark": "llmbar", "k": k}).decode()})
    for position in range(items):
        subset = SUBSETS[position % len(SUBSETS)]
        item = Item(
            f"{subset}/{position}", (Message("user", f"{position}"),), ("a", "b"), best=0, extra={"subset": subset}
        )
        judgments = []
        for index in range(k):
            scores = tuple(min(10, max(1, round(draw.gauss(centre, 2)))) for centre in (6.0, 5.5))
            judgments.append(Judgment(index, ORDERS[index % 2], index, "", "stop", scores))
        store.add_item(position, item)
        store.record(position, judgments, Usage(requests=2))
        store.put_verdict(position, {})
    store.close()


def timed(work):
    started = time.process_time()
    return work(), time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--k", type=int, default=8)
    parser.add_argument("--replicates", type=int, default=1000)
    options = parser.parse_args()
    print("| judgments | items | read, s | curve, s | intervals, s | all, s | us a judgment |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for judgments in (12_500, 25_000, 50_000, 100_000, 200_000):
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder) / "run"
            items = judgments // options.k
            write_run(directory, items, options.k)
            stored, read_s = timed(lambda directory=directory: open_stored(directory))
            found, curve_s = timed(lambda stored=stored: curve(stored.benchmark, stored.loaded, stored.ballots))

            def intervals(stored=stored, found=found):
                resamples = Resamples([unit.cluster for unit in stored.loaded.units], options.replicates)
                made = Intervals(stored.benchmark, stored.loaded, resamples)
                return [made.of(point) for point in found.points]

            _, intervals_s = timed(intervals)
            total = read_s + curve_s + intervals_s
            print(
                f"| {judgments:,} | {items:,} | {read_s:.2f} | {curve_s:.2f} | {intervals_s:.2f} | {total:.2f} "
                f"| {1e6 * total / judgments:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
