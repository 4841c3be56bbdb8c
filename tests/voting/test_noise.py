"""The noise of a judge: what its scale says, and what a pilot says."""

import random
from statistics import fmean, variance

import pytest

from spct.voting.noise import SCALE_ITEMS, TEN_POINTS, learned_noise, margin_variance, scale_noise


@pytest.mark.parametrize(
    ("scale", "noise"),
    [
        ((1, 10), TEN_POINTS),
        ((0, 9), TEN_POINTS),
        ((0, 1), TEN_POINTS / 9),
        ((1, 5), TEN_POINTS * 4 / 9),
        ((0, 90), 100 * TEN_POINTS),
    ],
)
def test_a_wide_scale_goes_by_its_square_and_a_narrow_one_by_its_width(scale, noise):
    assert scale_noise(*scale) == pytest.approx(noise)


def test_the_variance_of_margins_is_that_of_the_leader_over_each_rival():
    rows = [(8, 6, 1), (9, 4, 1), (7, 6, 3)]
    expected = fmean([variance([2, 5, 1]), variance([7, 8, 4])])
    assert margin_variance(rows) == pytest.approx(expected)
    assert margin_variance([*rows, (None, 1, 9)]) == pytest.approx(expected)


@pytest.mark.parametrize("rows", [[], [(8, 3)], [(8,), (3,)], [(8, None), (None, 3)], [(8, 3), (8, None)]])
def test_what_says_nothing_is_none(rows):
    assert margin_variance(rows) is None
    assert learned_noise([rows], 0.7) == 0.7


def test_what_is_learned_is_half_the_mean_variance_with_the_scale_counted_as_items():
    pilot = [[(8, 6), (9, 4)], [(5, 5), (5, 1)], [(3, 3)]]
    variances = [variance([2, 5]), variance([0, 4])]
    assert learned_noise(pilot, 0.5) == pytest.approx((sum(variances) / 2 + SCALE_ITEMS * 0.5) / (2 + SCALE_ITEMS))


def test_the_estimate_finds_the_parameter_of_the_model():
    """Variances drawn from the scaled inverse chi-square distribution with 4 degrees of freedom that the model states."""
    rng = random.Random(5)
    pilot = []
    for _ in range(6000):
        chi_square = sum(rng.gauss(0, 1) ** 2 for _ in range(4))
        sigma = (4 * 1.5 / chi_square) ** 0.5
        pilot.append([(rng.gauss(3, sigma), 0.0) for _ in range(8)])
    assert learned_noise(pilot, 0.6) == pytest.approx(1.5, rel=0.1)
