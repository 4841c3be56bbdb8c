"""The measures once more, by plain loops and numpy over all cases that count, for the tests to compare with."""

from itertools import combinations

import numpy as np


def ranks(values):
    """Ranks from 1 with ties averaged."""
    return [sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values]


def pearson(a, b):
    return float(np.corrcoef(a, b)[0, 1])


def spearman(a, b):
    return pearson(ranks(a), ranks(b))


def tau_b(a, b):
    agree = in_a = in_b = 0
    for i, j in combinations(range(len(a)), 2):
        x, y = np.sign(a[i] - a[j]), np.sign(b[i] - b[j])
        agree, in_a, in_b = agree + x * y, in_a + x * x, in_b + y * y
    return float(agree / np.sqrt(in_a * in_b))


def within(measure, groups):
    """The mean of a rank correlation over the (votes, values) that differ within both."""
    return float(np.mean([measure(v, t) for v, t in groups if len(set(v)) > 1 and len(set(t)) > 1]))


def chosen(votes, values):
    return float(np.mean([t for v, t in zip(votes, values, strict=True) if v == max(votes)]))


def best_of(votes, values, size):
    """Every choice of ``size`` responses in turn."""
    return float(np.mean([chosen([votes[i] for i in c], [values[i] for i in c])
                          for c in combinations(range(len(votes)), size)]))  # fmt: skip


def ndcg(votes, values):
    """Gains averaged over responses with the same vote."""
    discount = [1 / np.log2(place + 2) for place in range(len(votes))]
    total = place = 0
    for vote in sorted(set(votes), reverse=True):
        level = [t for v, t in zip(votes, values, strict=True) if v == vote]
        total += np.mean(level) * sum(discount[place : place + len(level)])
        place += len(level)
    return float(total / sum(g * d for g, d in zip(sorted(values, reverse=True), discount, strict=True)))


def kappa(a, b, weight=lambda x, y: float(x != y)):
    seen = np.mean([weight(x, y) for x, y in zip(a, b, strict=True)])
    chance = np.mean([weight(x, y) for x in a for y in b])
    return float(1 - seen / chance)


def auc(scores, labels):
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a, x in zip(scores, labels, strict=True) if x == 1
            for b, y in zip(scores, labels, strict=True) if y == 0]  # fmt: skip
    return float(np.mean(wins))


def f1(given, labels):
    hits = sum(g == label == 1 for g, label in zip(given, labels, strict=True))
    return 2 * hits / (sum(given) + sum(labels))


def alpha(units, distance):
    """Krippendorff's alpha: disagreement within the units over that between all answers of units with two or more."""
    units = [unit for unit in units if len(unit) > 1]
    pool = [answer for unit in units for answer in unit]
    seen = sum(sum(distance(a, b) for a in unit for b in unit) / (len(unit) - 1) for unit in units) / len(pool)
    chance = sum(distance(a, b) for a in pool for b in pool) / (len(pool) * (len(pool) - 1))
    return 1 - seen / chance
