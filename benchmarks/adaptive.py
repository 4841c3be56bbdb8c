"""Fixed k beside adaptive k on recorded judges: python benchmarks/adaptive.py DATA/replay/rewardbench2_k8

Sample j of all responses is taken as judgment j; the order of the 8 is drawn at random ``--repeats`` times. Accuracy is
by the 1/#tied rule, in points; "lost" is against all 8 samples of the same items, its interval a bootstrap over items.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from statistics import fmean

from recorded import FITTED, K, Rows, credit, load, orderings

from spct.voting.adaptive import DEFAULT_LEVEL, settled

LEVELS = (0.85, 0.9, 0.92, 0.93, 0.94, 0.95, 0.97, 0.99, 0.995)


def stop(rows: Rows, level: float, step: int) -> int:
    """Return how many of the rows adaptive k takes, in rounds of ``step``."""
    return next(m for m in range(step, K + step, step) if m >= K or settled(rows[:m], K, level))


def interval(losses: list[float], items: int, seed: int = 0) -> tuple[float, float]:
    """95% bootstrap interval of the mean over items (each item's orderings are averaged first)."""
    by_item = [fmean(losses[i::items]) for i in range(items)]
    rng = random.Random(seed)
    means = sorted(fmean(rng.choices(by_item, k=items)) for _ in range(400))
    return means[10], means[389]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--repeats", type=int, default=8)
    options = parser.parse_args()
    print(f"tuned on {', '.join(FITTED)}; the others are held out\n")
    for name, items in load(options.data).items():
        drawn = list(orderings(items, options.repeats, seed=0))
        full = [100 * credit(rows, 0) for rows in drawn]
        print(f"{name} ({len(items)} items, {'tuned' if name in FITTED else 'held out'})")
        fixed = {k: fmean(100 * credit(rows[:k], 0) for rows in drawn) for k in range(1, K + 1)}
        print("  fixed    " + "  ".join(f"k={k} {value:.2f}" for k, value in fixed.items()))
        for level, step in [*((level, 1) for level in LEVELS), (DEFAULT_LEVEL, 2), (DEFAULT_LEVEL, 4)]:
            taken = [stop(rows, level, step) for rows in drawn]
            got = [100 * credit(rows[:m], 0) for rows, m in zip(drawn, taken, strict=True)]
            low, high = interval([b - a for a, b in zip(got, full, strict=True)], len(items))
            print(
                f"  level {level:.3f} rounds of {step}: {fmean(taken):.2f} samples, {fmean(got):.2f},"
                f" lost {fmean(full) - fmean(got):+.2f} [{low:+.2f}, {high:+.2f}]"
            )


if __name__ == "__main__":
    main()
