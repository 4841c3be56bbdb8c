"""Lone responses labelled 0 or 1: do the right ones score higher, and how good is a threshold between them?

The judge's scale need not be the labels'. A threshold is chosen on other items than those it is judged on: the items are
dealt to ``PARTS`` parts, with equal shares of both labels, and each part is judged by the threshold of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise

from spct.measures.case import Case, Measure, Scale, average, by_library
from spct.measures.pairs import kappa

PARTS = 5

Scored = tuple[float, int]
"""A mean score and a label."""


def labels(cases: Sequence[Case], scale: Scale | None) -> list[Measure]:
    """ROC-AUC, and accuracy, F1 and kappa at a cross-fitted threshold."""
    found = [(case.id, case.means_N[0], int(case.truth.values_N[0])) for case in cases if case.means_N is not None]
    scores, truth = [score for _, score, _ in found], [label for _, _, label in found]
    fewest = min(truth.count(0), truth.count(1))
    if not fewest:
        return [Measure("ROC-AUC", None, len(found), "needs responses labelled 0 and responses labelled 1")]

    def auc() -> float:
        from sklearn.metrics import roc_auc_score

        return float(roc_auc_score(truth, scores))

    area = by_library("ROC-AUC", len(found), auc)
    if fewest < 2:
        return [area, Measure("accuracy at a threshold", None, len(found), "needs two responses of either label")]
    given, thresholds = cross_fitted(found)

    def f1() -> float:
        from sklearn.metrics import f1_score

        return float(f1_score(truth, given))

    span = f"{min(thresholds):g}" if len(set(thresholds)) == 1 else f"{min(thresholds):g} to {max(thresholds):g}"
    right = [float(a == b) for a, b in zip(given, truth, strict=True)]
    return [
        area,
        average("accuracy at a threshold", right, f"1 from a score of {span} on, chosen on other items", share=True),
        by_library("F1 there", len(found), f1),
        kappa("kappa there", given, truth),
    ]


def cross_fitted(found: Sequence[tuple[str, float, int]]) -> tuple[list[int], list[float]]:
    """The label that each (id, score, label) is given by the threshold of the other parts, and the parts' thresholds."""
    parts = min(PARTS, *(sum(label == wanted for *_, label in found) for wanted in (0, 1)))
    part_of: dict[int, int] = {}
    # Dealt by a hash of the id within each label: neither the order of the file nor the scores matter.
    dealt = sorted(range(len(found)), key=lambda i: (found[i][2], blake2b(found[i][0].encode()).digest()))
    for place, i in enumerate(dealt):
        part_of[i] = place % parts
    thresholds = [
        best_threshold([(score, label) for i, (_, score, label) in enumerate(found) if part_of[i] != part])
        for part in range(parts)
    ]
    return [int(score >= thresholds[part_of[i]]) for i, (_, score, _) in enumerate(found)], thresholds


def best_threshold(scored: Sequence[Scored]) -> float:
    """The threshold with the most labels right: midway between two scores, the middle one of those equally good."""
    levels = sorted({score for score, _ in scored})
    if len(levels) == 1:
        return levels[0]
    ones, zeros = dict.fromkeys(levels, 0), dict.fromkeys(levels, 0)
    for score, label in scored:
        (ones if label else zeros)[score] += 1
    right, found = sum(ones.values()), []
    for low, high in pairwise(levels):
        right += zeros[low] - ones[low]
        found.append((right, (low + high) / 2))
    most = max(right for right, _ in found)
    equal = [threshold for right, threshold in found if right == most]
    return equal[(len(equal) - 1) // 2]
