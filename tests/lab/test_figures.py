"""The laboratory's statistics against numbers worked by hand."""

import math

import numpy as np
import pytest

pytest.importorskip("numpy")

from benchmarks.spct_lab.figures import auc, difference, estimate, holm, rank_correlation, t_interval


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
    assert found.p_value is None and found.both is None  # two trainings say nothing of others


def test_a_difference_that_is_the_same_everywhere_is_sure():
    found = difference(np.ones((4, 6)), np.zeros((4, 6)))
    assert found.both == pytest.approx((1.0, 1.0))
    assert found.p_value == pytest.approx(2 / 4_001)


def test_the_interval_of_both_holds_the_truth_where_trainings_differ_and_queries_differ():
    """Forty experiments of 10 trainings by 300 queries, true mean 0: about 95 in a hundred intervals hold it."""
    draw, held, narrow = np.random.default_rng(3), 0, 0
    for _ in range(40):
        gaps = draw.normal(0, 0.1, (10, 1)) + draw.normal(0, 0.3, (1, 300)) + draw.normal(0, 0.3, (10, 300))
        found = difference(gaps, np.zeros_like(gaps))
        held += found.both[0] <= 0 <= found.both[1]
        narrow += found.items[0] <= 0 <= found.items[1]
        assert (found.p_value < 0.05) == (not found.both[0] <= 0 <= found.both[1])
    assert held >= 34
    assert narrow < held  # over queries alone it forgets that another base would have trained otherwise


def test_holm_corrects_for_the_questions_asked_at_once():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_a_rank_correlation_and_its_chance():
    value, p = rank_correlation([1, 2, 3, 4, 5], [10, 20, 30, 40, 50])
    assert value == pytest.approx(1.0) and p == pytest.approx(2 / 120)  # two of the 120 orders are as far from 0
    value, p = rank_correlation([1, 2, 3, 4], [1, 2, 4, 3])
    assert value == pytest.approx(0.8) and p > 0.3


def test_auc_counts_pairs():
    assert auc([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0]) == pytest.approx(3.5 / 4)
    assert math.isnan(auc([1.0], [1]))
    assert auc([0.9, None, 0.1, None], [1, 1, 0, 0]) == 1.0  # what has no score is left out, not put in the middle
    assert math.isnan(auc([None, 0.1], [1, 0]))
