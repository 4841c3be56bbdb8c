"""Several responses may be right, or each has a reward: what the chosen one is worth, and how alike the two orders are.

Ties for the highest vote are averaged, which is what choosing among them at random earns.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

from spct.measures.case import Case, Means, Measure, Scale, average, by_library, top_of, voted
from spct.measures.orders import rank_correlations

Pairs = Sequence[tuple[Means, tuple[float, ...]]]


def rewards(cases: Sequence[Case], scale: Scale | None) -> list[Measure]:
    """Worth of the choice, agreement of the orders, and best of n: choosing among S of the N responses."""
    pairs = voted(cases)
    chosen = [chosen_reward(means, values) for means, values in pairs]
    regret = [max(values) - worth for worth, (_, values) in zip(chosen, pairs, strict=True)]
    return [
        average("mean reward of the one chosen", chosen),
        average("mean reward of the best there", [max(values) for _, values in pairs]),
        average("mean reward of one at random", [sum(values) / len(values) for _, values in pairs]),
        average("regret against the best there", regret),
        *rank_correlations(pairs),
        ndcg(pairs),
        *best_of(pairs),
    ]


def ranking(cases: Sequence[Case], scale: Scale | None) -> list[Measure]:
    """Agreement of the orders; a ranking gives no rewards, so there is no worth."""
    return rank_correlations(voted(cases))


def chosen_reward(means_N: Means, values_N: Sequence[float]) -> float:  # noqa: N803
    """The mean reward of the responses with the highest vote."""
    top = top_of(means_N)
    return sum(values_N[i] for i in top) / len(top)


def expected_best_of(means_N: Means, values_N: Sequence[float], size: int) -> float:  # noqa: N803
    """The expected reward of choosing by the vote among ``size`` of the N responses, over all choices of them, exactly.

    The responses of one vote are alike, so what counts is which vote is the highest among those drawn: ``level`` of
    them with ``above`` above it give C(N - above, size) - C(N - above - level, size) of the C(N, size) draws.
    """
    n, total, above = len(means_N), 0, 0
    worth = 0.0
    for vote in sorted(set(means_N), reverse=True):
        alike = [values_N[i] for i, mean in enumerate(means_N) if mean == vote]
        draws = comb(n - above, size) - comb(n - above - len(alike), size)
        worth += draws / comb(n, size) * (sum(alike) / len(alike))
        total, above = total + draws, above + len(alike)
    assert total == comb(n, size)  # every draw has a highest vote
    return worth


def best_of(pairs: Pairs) -> list[Measure]:
    """For every S the mean over the items with at least S responses."""
    most = max((len(values) for _, values in pairs), default=0)
    found = []
    for size in range(1, most + 1):
        worth = [expected_best_of(means, values, size) for means, values in pairs if len(values) >= size]
        found.append(average(f"best of {size}", worth))
    return found


def ndcg(pairs: Pairs) -> Measure:
    """Normalised discounted cumulative gain with the rewards as gains, ties averaged; of items with a positive reward."""
    name = "NDCG"
    usable = [(means, values) for means, values in pairs if min(values) >= 0 < max(values)]
    if not usable:
        return Measure(name, None, 0, "no item with rewards of 0 or more, one of them above 0")

    def value() -> float:
        from sklearn.metrics import ndcg_score

        total = 0.0
        for n in {len(values) for _, values in usable}:
            of_n = [(means, values) for means, values in usable if len(values) == n]
            total += len(of_n) * ndcg_score([values for _, values in of_n], [means for means, _ in of_n])
        return float(total / len(usable))

    left = len(pairs) - len(usable)
    return by_library(name, len(usable), value, f"{left:,} left out, where it is not defined" if left else "")
