"""The laboratory's statistics against numbers worked by hand."""

import math

import numpy as np
import pytest

pytest.importorskip("numpy")

from benchmarks.spct_lab.figures import auc, difference, estimate, t_interval


def test_the_interval_over_seeds_is_students():
    # Means 0.6, 0.7, 0.8: standard deviation 0.1, so 0.7 +- 4.303 x 0.1 / sqrt(3).
    low, high = t_interval([0.6, 0.7, 0.8])
    assert low == pytest.approx(0.7 - 4.303 * 0.1 / math.sqrt(3))
    assert high == pytest.approx(0.7 + 4.303 * 0.1 / math.sqrt(3))
    assert t_interval([0.7]) is None


def test_a_matrix_of_two_seeds_and_four_items():
    found = estimate(np.array([[1.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0]]))
    assert found.value == pytest.approx(5 / 8)
    assert found.by_seed == pytest.approx((0.75, 0.5))
    assert found.items is None  # four items are too few for a bootstrap
    assert found.seeds == pytest.approx((5 / 8 - 12.706 * 0.125, 5 / 8 + 12.706 * 0.125))


def test_the_interval_over_items_is_that_of_a_mean():
    values = np.tile(np.arange(400) % 2, (3, 1)).astype(float)  # half ones: standard error 0.5 / 20
    low, high = estimate(values).items
    assert low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.006)
    assert high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.006)
    assert estimate(values).seeds == pytest.approx((0.5, 0.5))


def test_a_difference_is_paired_by_seed_and_item():
    before = np.array([[0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]])
    found = difference(before + np.array([[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]), before)
    assert found.value == pytest.approx(0.25)
    assert found.by_seed == pytest.approx((0.25, 0.25))
    assert found.p_value == 1.0  # one item that differs can change its sign in two ways, equally far from 0
    even = difference(np.ones((2, 6)), np.zeros((2, 6)))
    assert even.p_value == pytest.approx(2 / 2**6)  # all of six signs alike


def test_auc_counts_pairs():
    assert auc([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0]) == pytest.approx(3.5 / 4)
    assert math.isnan(auc([1.0], [1]))
    assert auc([0.9, None, 0.1, None], [1, 1, 0, 0]) == 1.0  # what has no score is left out, not put in the middle
    assert math.isnan(auc([None, 0.1], [1, 0]))
