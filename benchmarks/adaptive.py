"""Fixed k beside adaptive k on recorded judges: python benchmarks/adaptive.py DATA/replay/rewardbench2_k8

Sample j of all responses is taken as judgment j; items and the order of their 8 samples are drawn at random ``--repeats``
times. The first items of each drawing are the pilot, by which the judge's noise is learned as a run learns it; the figures
are of the other items. Accuracy is by the 1/#tied rule, in points; "lost" is against all 8 samples of the same items, its
interval a bootstrap over items.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from recorded import FITTED, K, Rows, credit, load

from spct.voting.adaptive import DEFAULT_LEVEL, FIRST_LOOK, settled
from spct.voting.noise import PILOT_ITEMS, TEN_POINTS, learned_noise

LEVELS = (0.9, 0.95, DEFAULT_LEVEL, 0.98, 0.99)


def stop(rows: Rows, level: float, step: int, noise: float) -> int:
    """Return how many of the rows adaptive k takes: a first look, then one after each round of ``step``."""
    looks = range(max(FIRST_LOOK, step), K, step)
    return next((m for m in looks if settled(rows[:m], K, level, noise)), K)


def interval(losses: dict[int, list[float]], seed: int = 0) -> tuple[float, float]:
    """95% bootstrap interval of the mean over items (each item's drawings are averaged first)."""
    by_item = [fmean(values) for values in losses.values()]
    rng = random.Random(seed)
    means = sorted(fmean(rng.choices(by_item, k=len(by_item))) for _ in range(400))
    return means[10], means[389]


def measure(items: list[Rows], repeats: int, level: float, step: int, *, learn: bool) -> str:
    """One line: samples, accuracy, points lost, and the noise that was learned in each drawing."""
    rng = random.Random(0)
    taken: list[int] = []
    losses: dict[int, list[float]] = defaultdict(list)
    got: list[float] = []
    noises: list[float] = []
    for _ in range(repeats):
        places = rng.sample(range(len(items)), len(items))
        drawn = {place: rng.sample(items[place], K) for place in places}
        pilot, others = places[:PILOT_ITEMS], places[PILOT_ITEMS:]
        noise = learned_noise([drawn[place] for place in pilot], TEN_POINTS) if learn else TEN_POINTS
        noises.append(noise)
        for place in others:
            rows = drawn[place]
            m = stop(rows, level, step, noise)
            taken.append(m)
            got.append(100 * credit(rows[:m], 0))
            losses[place].append(100 * credit(rows, 0) - got[-1])
    low, high = interval(losses)
    lost = fmean(fmean(values) for values in losses.values())
    return (
        f"{fmean(taken):.2f} samples, {fmean(got):.2f}, lost {lost:+.2f} [{low:+.2f}, {high:+.2f}], "
        f"noise {min(noises):.2f} to {max(noises):.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--repeats", type=int, default=8)
    options = parser.parse_args()
    print(f"tuned on {', '.join(FITTED)}; the others are held out\n")
    for name, items in load(options.data).items():
        print(f"{name} ({len(items)} items, {'tuned' if name in FITTED else 'held out'})")
        rng = random.Random(1)
        drawn = [rng.sample(rows, K) for _ in range(options.repeats) for rows in items]
        fixed = {k: fmean(100 * credit(rows[:k], 0) for rows in drawn) for k in range(1, K + 1)}
        print("  fixed    " + "  ".join(f"k={k} {value:.2f}" for k, value in fixed.items()))
        for level, step in [*((level, 1) for level in LEVELS), (DEFAULT_LEVEL, 2), (DEFAULT_LEVEL, 4)]:
            print(f"  level {level:.3f} rounds of {step}: {measure(items, options.repeats, level, step, learn=True)}")
        print(
            f"  level {DEFAULT_LEVEL:.3f}, not learned: {measure(items, options.repeats, DEFAULT_LEVEL, 1, learn=False)}"
        )


if __name__ == "__main__":
    main()
