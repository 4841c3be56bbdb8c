"""Expected scores beside integer scores, from the same stored judgments: python benchmarks/expected.py RUN

RUN is a run directory judged with log-probabilities (``--top-logprobs``). Of each item the first K (``-k``) judgments that
have both kinds of score are taken, and items with fewer are left out, so that both columns rest on the same samples.

Ties and accuracy at k are averaged over subsets of k of the K judgments. Calibration is that of the vote's confidence:
from m of K judgments, the stated chance that the leader leads all K against how often it does (a tie of t counts 1/t),
over random orders of the judgments; the error is over ten bins.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Sequence
from math import fsum
from pathlib import Path
from statistics import fmean

from spct.run import RunStore
from spct.types import Item
from spct.voting.accuracy import Grades, grades_at, subsets
from spct.voting.confidence import lead_chance

Rows = list[tuple[float, ...]]
REPEATS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("-k", type=int, default=4)
    options = parser.parse_args()
    items, integers, expected, left_out = load(options.run, options.k)
    if not items:
        raise SystemExit(f"no item has {options.k} judgments with expected scores; judge with more --top-logprobs")
    most = options.k
    kinds = {"integer": integers, "expected": expected}
    print(f"{len(items)} items, K = {most}; {left_out} items left out that have fewer\n")
    print("| k | scores | tied for first | strict | 1/#tied | said / came | calibration error |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for k in [k for k in (1, 2, 4, 8, 16, 32) if k <= most]:
        for name, rows in kinds.items():
            total = sum((grades_at(of_item, item, k) for item, of_item in zip(items, rows, strict=True)), Grades())
            tied = fmean(tie_rate(of_item, k, item.id) for item, of_item in zip(items, rows, strict=True))
            cells = f"| {k} | {name} | {tied:.1%} | {total.strict:.1%} | {total.random_tie:.1%} "
            print(cells + (f"| {calibration(rows, k)} |" if k < most else "| | |"))


def load(directory: Path, most: int) -> tuple[list[Item], list[Rows], list[Rows], int]:
    """Items, the rows of both kinds of scores per item, and how many items were left out."""
    store = RunStore.open(directory)
    last = {position: {j.index: j for j in judgments} for position, judgments in store.judgments()}
    items, integers, expected, left_out = [], [], [], 0
    for position, item in store.items():
        judgments = last.get(position, {}).values()
        both = [(j.scores, j.expected) for j in judgments if j.scores is not None and j.expected is not None]
        whole = both[:most]
        if len(whole) < most or len(item.responses) < 2:
            left_out += 1
            continue
        items.append(item)
        integers.append([scores for scores, _ in whole])
        expected.append([means for _, means in whole])
    store.close()
    return items, integers, expected, left_out


def tie_rate(rows: Rows, k: int, key: str) -> float:
    """How often the vote over k of the rows has no single leader."""
    picks = subsets(len(rows), k, key=key)
    return fmean(len(leaders([rows[i] for i in pick])) > 1 for pick in picks)


def leaders(rows: Sequence[tuple[float, ...]]) -> list[int]:
    totals = [fsum(column) for column in zip(*rows, strict=True)]
    return [i for i, total in enumerate(totals) if total == max(totals)]


def calibration(items: Sequence[Rows], m: int) -> str:
    """Stated chance and frequency that the leader of m leads all, and the calibration error."""
    rng, bins = random.Random(m), defaultdict(list)
    for rows in [rng.sample(rows, len(rows)) for rows in items for _ in range(REPEATS)]:
        best, final = rng.choice(leaders(rows[:m])), leaders(rows)
        said = lead_chance(rows[:m], best, len(rows) - m)
        assert said is not None  # every row scores two responses or more
        bins[min(9, int(10 * said))].append((said, 1 / len(final) if best in final else 0.0))
    pairs = [pair for found in bins.values() for pair in found]
    error = sum(abs(sum(a - b for a, b in found)) for found in bins.values()) / len(pairs)
    return f"{fmean(a for a, _ in pairs):.3f} / {fmean(b for _, b in pairs):.3f} | {error:.3f}"


if __name__ == "__main__":
    main()
