"""Calibration of a vote's confidence on recorded judges: python benchmarks/confidence.py DATA/replay/rewardbench2_k8

From m of 8 samples, predict whether the leader also leads (a tie of t counts 1/t) the sums over all 8, which is what
``lead_chance`` states, and the sums over the other 8 - m alone, an independent target. Items are taken with all 4
responses and with 2 drawn at random. ``--pass-mark 8`` makes scores of 0 and 1 of them (8 and more is 1), as a judge of
pass and fail would give. Each figure is the mean over ``--drawings`` of the samples' order and of the two responses: one drawing
of 1,700 items moves a calibration error by 0.005. ``by chance`` is the error that a confidence without fault would show on
as many items: outcomes drawn by what was said. Estimators compared: this package's; the same with the lowest rival only, or with
the product over rivals; and the plain t without a prior on the variance (m >= 2; zero variance counts as certainty).
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from math import erfc, log1p, prod, sqrt
from pathlib import Path
from statistics import fmean, variance

from recorded import FITTED, K, Rows, credit, load

from spct.voting.confidence import lead_chance, lead_confidence
from spct.voting.noise import TEN_POINTS, scale_noise

Estimator = Callable[[Rows, int, float], float]


def chance(rows: Rows, best: int, more: float, *, fresh: bool = False) -> float:
    """Return the package's chance, by the noise of the scale that the scores are on."""
    return lead_chance(rows, best, more, NOISE[0], fresh=fresh) or 0.0


NOISE = [TEN_POINTS]


def pairwise(rows: Rows, best: int, more: float) -> list[float]:
    """Return the chance of keeping ahead of each rival on its own, by the package's model for n = 2."""
    rivals = [rival for rival in range(len(rows[0])) if rival != best]
    return [lead_chance([(row[best], row[rival]) for row in rows], 0, more, NOISE[0]) or 0.0 for rival in rivals]


def plain(rows: Rows, best: int, more: float) -> float:
    """Return the product over rivals of a t without prior."""
    m, chances = len(rows), []
    for rival in range(len(rows[0])):
        margins = [row[best] - row[rival] for row in rows]
        mean, spread = fmean(margins), variance(margins)
        if rival != best and mean > 0 and spread > 0:
            t2 = mean * mean * m * (m + more) / more / spread
            nu = m - 1
            chances.append(1 - 0.5 * erfc((8 * nu + 1) / (8 * nu + 3) * sqrt(nu * log1p(t2 / nu)) / sqrt(2)))
        elif rival != best:
            chances.append(1.0 if mean > 0 else 0.5)
    return prod(chances)


ESTIMATORS: dict[str, Estimator] = {
    "odds added (ours)": chance,
    "lowest rival": lambda rows, best, more: min(pairwise(rows, best, more)),
    "product": lambda rows, best, more: prod(pairwise(rows, best, more)),
    "plain t": plain,
}


def error(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the expected calibration error over ten bins of equal width."""
    bins = defaultdict(list)
    for said, came in pairs:
        bins[min(9, int(10 * said))].append((said, came))
    return sum(abs(sum(a - b for a, b in pairs)) for pairs in bins.values()) / len(pairs)


def brier(pairs: Sequence[tuple[float, float]]) -> float:
    return fmean([(said - came) ** 2 for said, came in pairs])


def draw(items: Sequence[Rows], n: int, rng: random.Random) -> list[Rows]:
    """Return the items with their samples shuffled, cut to n responses."""
    drawn = []
    for rows in items:
        keep = sorted(rng.sample(range(len(rows[0])), n))
        drawn.append([tuple(row[i] for i in keep) for row in rng.sample(rows, K)])
    return drawn


def leader(rows: Rows, rng: random.Random) -> int:
    totals = [sum(column) for column in zip(*rows, strict=True)]
    return rng.choice([i for i, total in enumerate(totals) if total == max(totals)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pass-mark", type=int, help="scores from it on are 1, below it 0")
    parser.add_argument("--drawings", type=int, default=8)
    options = parser.parse_args()
    judges = load(options.data)
    if options.pass_mark is not None:
        mark = options.pass_mark
        NOISE[0] = scale_noise(0, 1)
        judges = {
            name: [[tuple(int(score >= mark) for score in row) for row in rows] for rows in items]
            for name, items in judges.items()
        }
    print(f"constants fitted on {', '.join(FITTED)}; the others are held out")
    for fresh in (False, True):
        what = "the other 8 - m alone" if fresh else "all 8"
        print(f"\nleads {what}, from m: said / came, calibration error (by chance), Brier")
        for name, items in judges.items():
            for n in (2, 4):
                print(
                    f"  {name:14} n={n}  "
                    + "   ".join(horizon(items, n, m, fresh, options.drawings) for m in (1, 2, 4, 6))
                )
    estimators(judges)
    reliability(judges)
    correctness(judges)


def horizon(items: Sequence[Rows], n: int, m: int, fresh: bool, drawings: int) -> str:
    figures = []
    for drawing in range(drawings):
        rng, pairs = random.Random(100 * drawing + m), []
        for rows in draw(items, n, rng):
            best = leader(rows[:m], rng)
            said = chance(rows[:m], best, K - m, fresh=fresh)
            pairs.append((said, credit(rows[m:] if fresh else rows, best)))
        faultless = [(said, float(rng.random() < said)) for said, _ in pairs]
        figures.append((*map(fmean, zip(*pairs, strict=True)), error(pairs), error(faultless), brier(pairs)))
    said, came, off, by_chance, squared = map(fmean, zip(*figures, strict=True))
    return f"m={m} {said:.3f}/{came:.3f} {off:.3f} ({by_chance:.3f}) {squared:.3f}"


def estimators(judges: dict[str, list[Rows]]) -> None:
    print("\nestimators, leads all 8, n = 4, m = 2, 4, 6 pooled: calibration error, Brier")
    for name, items in judges.items():
        cells = []
        for label, estimate in ESTIMATORS.items():
            rng, pairs = random.Random(1), []
            for m in (2, 4, 6):
                for rows in draw(items, 4, rng):
                    best = leader(rows[:m], rng)
                    pairs.append((estimate(rows[:m], best, K - m), credit(rows, best)))
            cells.append(f"{label} {error(pairs):.3f} {brier(pairs):.4f}")
        print(f"  {name:14} " + "   ".join(cells))


def reliability(judges: dict[str, list[Rows]]) -> None:
    print("\nreliability, held-out judges at t > 0, n = 4, m = 4: said, came (items)")
    for name, items in judges.items():
        if name in FITTED or name.endswith("t=0"):
            continue
        rng, bins = random.Random(2), defaultdict(list)
        for rows in draw(items, 4, rng):
            best = leader(rows[:4], rng)
            said = chance(rows[:4], best, K - 4)
            bins[min(9, int(10 * said))].append((said, credit(rows, best)))
        cells = [
            f"{fmean([p for p, _ in b]):.2f} {fmean([y for _, y in b]):.2f} ({len(b)})" for _, b in sorted(bins.items())
        ]
        print(f"  {name:14} " + "   ".join(cells))


def correctness(judges: dict[str, list[Rows]]) -> None:
    print("\nfor information: share of right winners by confidence at k = 8 (items)")
    edges = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.01)
    for name, items in judges.items():
        rng, right = random.Random(3), defaultdict(list)
        for rows in items:
            best = leader(rows, rng)
            confidence = lead_confidence(rows, best, NOISE[0]) or 0.0
            right[max(i for i, edge in enumerate(edges) if confidence >= edge)].append(best == 0)
        cells = [f">={edges[i]:.2f} {fmean(b):.2f} ({len(b)})" for i, b in sorted(right.items())]
        print(f"  {name:14} " + "   ".join(cells))


if __name__ == "__main__":
    main()
