"""How well ratings tell right judgments from wrong ones, and whether they mean what they say.

AUC is the chance that a right judgment is rated above a wrong one (ties count half); ``auc_within`` takes both from one
item, which is all that a guided vote asks for. Calibration: Brier score, and the expected calibration error over bins of
equal width (Guo et al., 2017). ``J`` judgments. Needs numpy.
"""

# ruff: noqa: N803, N806
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BINS = 10


def auc(scores_J: Floats, labels_J: Floats) -> float:
    """Area under the ROC curve by ranks; NaN without both classes."""
    right = labels_J > 0.5
    n_right, n_wrong = int(right.sum()), int((~right).sum())
    if not (n_right and n_wrong):
        return math.nan
    _, inverse, counts = np.unique(scores_J, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks_J = ((ends - counts + 1 + ends) / 2)[inverse]  # equal scores share their mean rank
    return float((ranks_J[right].sum() - n_right * (n_right + 1) / 2) / (n_right * n_wrong))


def auc_within(scores_J: Floats, labels_J: Floats, groups_J: Sequence[Any]) -> tuple[float, int]:
    """The mean AUC of the groups that have both classes, and their number; NaN if none has."""
    places: dict[Any, list[int]] = {}
    for place, group in enumerate(groups_J):
        places.setdefault(group, []).append(place)
    found = [auc(scores_J[rows], labels_J[rows]) for rows in places.values()]
    known = [value for value in found if not math.isnan(value)]
    return (math.fsum(known) / len(known) if known else math.nan), len(known)


def reliability(probabilities_J: Floats, labels_J: Floats, bins: int = BINS) -> list[dict[str, float]]:
    """Per bin that is not empty its bounds, its count, the mean rating and the share of right judgments."""
    place_J = np.minimum((probabilities_J * bins).astype(int), bins - 1)
    rows = []
    for bin in range(bins):
        inside = place_J == bin
        if inside.any():
            row = {"from": bin / bins, "to": (bin + 1) / bins, "count": int(inside.sum())}
            means = {"rating": probabilities_J[inside].mean(), "correct": labels_J[inside].mean()}
            rows.append(row | {name: round(float(value), 6) for name, value in means.items()})
    return rows


def calibration(probabilities_J: Floats, labels_J: Floats, bins: int = BINS) -> dict[str, float]:
    """``brier``, and ``ece``: the mean distance of a bin's ratings from its share of right ones, by count."""
    table = reliability(probabilities_J, labels_J, bins)
    gap = math.fsum(row["count"] * abs(row["rating"] - row["correct"]) for row in table) / len(labels_J)
    return {"brier": float(np.mean((probabilities_J - labels_J) ** 2)), "ece": gap}


def figures(logits_J: Floats, labels_J: Floats) -> dict[str, float]:
    """AUC, Brier, ECE, accuracy at a rating of 0.5, and the share of right judgments."""
    probabilities_J = sigmoid(logits_J)
    return {
        "auc": auc(logits_J, labels_J),
        **calibration(probabilities_J, labels_J),
        "accuracy": float(np.mean((logits_J > 0) == (labels_J > 0.5))),
        "correct": float(np.mean(labels_J)),
    }


def sigmoid(logits_J: Floats) -> Floats:
    """Ratings of logits, without overflow."""
    positive = 1 / (1 + np.exp(-np.abs(logits_J)))
    return np.where(logits_J >= 0, positive, 1 - positive)


def rounded(found: Mapping[str, float]) -> dict[str, float | None]:
    """Six digits, and None where there is no number: JSON has no NaN."""
    return {name: None if math.isnan(value) else round(value, 6) for name, value in found.items()}
