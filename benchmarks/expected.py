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
from pathlib import Path
from statistics import fmean

from spct.bench.scoring.subsets import picks
from spct.run import RunStore
from spct.types import Item
from spct.voting.confidence import lead_chance
from spct.voting.vote import row_means

Rows = list[tuple[float, ...]]
REPEATS = 20
MOST_PICKS = 256
"""Subsets of k judgments drawn of an item where there are more than that."""


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
            led = [votes(of_item, k) for of_item in rows]
            tied = fmean(fmean(len(first) > 1 for first in found) for found in led)
            known = [(item.best, found) for item, found in zip(items, led, strict=True) if item.best is not None]
            strict = fmean(fmean(first == [best] for first in found) for best, found in known)
            shared = fmean(fmean(best in first and 1 / len(first) for first in found) for best, found in known)
            cells = f"| {k} | {name} | {tied:.1%} | {strict:.1%} | {shared:.1%} "
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


def votes(rows: Rows, k: int) -> list[list[int]]:
    """Who leads the vote over each pick of k rows, more than one where they tie."""
    return [leaders([rows[i] for i in pick.indices]) for pick in picks(len(rows), 1, k, MOST_PICKS)]


def leaders(rows: Sequence[tuple[float, ...]]) -> list[int]:
    means = row_means(rows)
    assert means is not None  # every row scores every response
    return [i for i, mean in enumerate(means) if mean == max(means)]


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
