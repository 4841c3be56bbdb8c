"""AUC, calibration and their edge cases against counting by hand."""

import math
import random

import numpy as np
import pytest

from spct.train.common.rating_figures import auc, auc_within, calibration, figures, reliability, rounded, sigmoid


def naive_auc(scores, labels):
    pairs = [(a, b) for a, x in zip(scores, labels, strict=True) for b, y in zip(scores, labels, strict=True) if x > y]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


def test_auc_is_the_share_of_pairs_in_the_right_order():
    assert auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])) == 0.75
    assert auc(np.array([1.0, 1.0, 1.0]), np.array([0, 1, 1])) == 0.5
    draw = random.Random(0)
    for _ in range(20):
        scores = [draw.randint(0, 6) for _ in range(30)]
        labels = [draw.randint(0, 1) for _ in range(30)]
        assert auc(np.array(scores, float), np.array(labels, float)) == pytest.approx(naive_auc(scores, labels))
    assert math.isnan(auc(np.array([1.0, 2.0]), np.array([1.0, 1.0])))


def test_auc_within_groups_leaves_out_those_of_one_class():
    scores, labels = np.array([1.0, 2.0, 5.0, 4.0, 9.0, 8.0]), np.array([0.0, 1.0, 0.0, 1.0, 1.0, 1.0])
    assert auc_within(scores, labels, ["a", "a", "b", "b", "c", "c"]) == (0.5, 2)
    value, count = auc_within(scores[4:], labels[4:], ["c", "c"])
    assert math.isnan(value)
    assert count == 0


def test_brier_and_ece_on_a_worked_table():
    ratings, labels = np.array([0.1, 0.15, 0.9, 1.0]), np.array([0.0, 1.0, 1.0, 1.0])
    assert reliability(ratings, labels) == [
        {"from": 0.1, "to": 0.2, "count": 2, "rating": 0.125, "correct": 0.5},
        {"from": 0.9, "to": 1.0, "count": 2, "rating": 0.95, "correct": 1.0},
    ]
    found = calibration(ratings, labels)
    assert found["ece"] == pytest.approx((2 * 0.375 + 2 * 0.05) / 4)
    assert found["brier"] == pytest.approx((0.01 + 0.7225 + 0.01 + 0) / 4)


def test_figures_of_extreme_logits_are_numbers():
    found = figures(np.array([-1e4, 1e4, 0.0]), np.array([0.0, 1.0, 1.0]))
    assert found["auc"] == 1.0
    assert found["brier"] == pytest.approx(0.25 / 3)
    assert (found["accuracy"], found["correct"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert sigmoid(np.array([-2.0, 2.0])).tolist() == pytest.approx([0.11920292, 0.88079708])
    assert rounded({"a": math.nan, "b": 0.12345678}) == {"a": None, "b": 0.123457}
