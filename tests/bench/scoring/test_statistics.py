import itertools
import math

import numpy as np
import pytest

from spct.bench.scoring.statistics import Figure, Resamples, bounded, mean_figure, ratio, ratio_difference, sign_flip_p


def test_resamples_sum_what_a_naive_loop_sums():
    clusters = ["a", "b", "a", "c"]
    values = np.array([[1.0, 10], [2, 20], [3, 30], [4, 40]])
    resamples = Resamples(clusters, replicates=50, seed=7)
    times = {name: resamples.times_BC[:, i] for i, name in enumerate(["a", "b", "c"])}
    for b, row in enumerate(resamples.sums(values)):
        naive = sum(int(times[name][b]) * values[u] for u, name in enumerate(clusters))
        assert row.tolist() == naive.tolist()
    assert resamples.times_BC.sum(axis=1).tolist() == [3] * 50


def test_resamples_depend_on_seed_and_clusters_alone():
    first, again, other = (Resamples(list("abcd"), 20, seed) for seed in (1, 1, 2))
    assert (first.times_BC == again.times_BC).all()
    assert (first.times_BC != other.times_BC).any()


def test_the_interval_of_a_mean_is_the_normal_one_for_many_clusters():
    values = [1.0] * 300 + [0.0] * 700
    figure = mean_figure(values, [str(i) for i in range(1000)])
    half = 1.96 * math.sqrt(0.3 * 0.7 / 1000)
    assert figure.value == pytest.approx(0.3)
    assert figure.low == pytest.approx(0.3 - half, abs=0.004)
    assert figure.high == pytest.approx(0.3 + half, abs=0.004)


def test_units_of_one_prompt_widen_the_interval():
    """Four equal copies of each unit are no new evidence: clustered, the interval is that of the units alone."""
    values = [1.0] * 30 + [0.0] * 70
    alone = mean_figure(values, [str(i) for i in range(100)])
    copied = mean_figure(values * 4, [str(i) for i in range(100)] * 4)
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))
    loose = mean_figure(values * 4, [str(i) for i in range(400)])
    assert loose.high - loose.low < 0.6 * (alone.high - alone.low)


def test_a_ratio_over_nothing_is_not_a_number_and_gets_no_interval():
    assert np.isnan(ratio(np.array([[1.0, 0.0]]))[0])
    assert ratio_difference(np.array([[3.0, 4.0, 1.0, 2.0]]))[0] == 0.25
    lacking = bounded(0.5, np.array([np.nan] * 6 + [0.4, 0.6] * 2), 20)
    assert (lacking.low, lacking.note) == (None, "most resamples lack units for it")
    assert bounded(0.5, np.array([0.4, 0.4, 0.6, 0.6]), 20).low == pytest.approx(0.4)


def test_percentiles_are_those_of_the_replicates():
    figure = bounded(0.5, np.arange(1001) / 1000, 10)
    assert (figure.low, figure.high) == pytest.approx((0.025, 0.975))


def test_few_clusters_have_no_bootstrap():
    figure = bounded(0.5, np.arange(1001) / 1000, 9)
    assert figure == Figure(0.5, n=9, note="9 prompts are too few for a bootstrap")
    assert bounded(0.5, np.arange(3.0), 1).note == "1 prompt is too few for a bootstrap"


def test_replicates_beside_the_value_are_moved_to_it():
    """Those of a spread lie above it; their mean distance is what they are moved by."""
    replicates = 0.6 + np.arange(1001) / 10_000
    figure = bounded(0.5, replicates, 40)
    assert (figure.low, figure.high) == pytest.approx((0.5 - 0.0475, 0.5 + 0.0475))
    held = bounded(0.62, replicates, 40)
    assert held.low == pytest.approx(0.6025)
    moved = bounded(0.62, replicates, 40, biased=True)
    assert (moved.low, moved.high) == pytest.approx((0.62 - 0.0475, 0.62 + 0.0475))


def column(*pairs):
    return np.array(pairs, dtype=float)


def test_a_share_of_few_clusters_has_wilsons_interval_over_them():
    five = Resamples(list("abcde")).share(column(*[(1, 1)] * 5))
    assert (five.value, five.low, five.high, five.n) == (1.0, pytest.approx(0.5655, abs=1e-4), 1.0, 5)
    assert five.note == "Wilson's interval, since 5 prompts are too few for a bootstrap"
    one = Resamples(["a"] * 40).share(column(*[(1, 1)] * 40))
    assert (one.low, one.high, one.n) == (pytest.approx(0.2065, abs=1e-4), 1.0, 1)
    none = Resamples([*"abcde"]).share(column((1, 1), (0, 1), (0, 0), (0, 0), (0, 0)))
    assert (none.value, none.n) == (0.5, 2)


def test_twenty_clusters_that_all_say_the_same_still_leave_a_doubt():
    same = Resamples([str(i) for i in range(20)]).share(column(*[(1, 1)] * 20))
    assert (same.low, same.high) == (pytest.approx(0.8389, abs=1e-4), 1.0)
    assert same.note == "Wilson's interval, since every resample of the prompts gives the same"
    alike = Resamples([str(i) for i in range(20)]).figure(column(*[(1, 1)] * 20), ratio)
    assert (alike.low, alike.n) == (None, 20)


def test_clusters_of_unequal_size_are_worth_fewer():
    """Weights 4, 1, 1: (4 + 1 + 1)^2 / (16 + 1 + 1) = 2 clusters of equal weight."""
    figure = Resamples(["a"] * 4 + ["b", "c"]).share(column(*[(1, 1)] * 6))
    assert (figure.low, figure.high) == (pytest.approx(0.3424, abs=1e-4), 1.0)


def test_a_gap_of_two_shares_has_newcombes_interval():
    """56 of 70 less 48 of 80 is [0.0524, 0.3339] in Newcombe (1998), method 10."""
    rows = [(1, 1, 0, 0)] * 56 + [(0, 1, 0, 0)] * 14 + [(0, 0, 1, 1)] * 48 + [(0, 0, 0, 1)] * 32
    resamples = Resamples([str(i) for i in range(150)], replicates=2)
    resamples.times_BC[:] = 1  # resamples that tell nothing
    figure = resamples.share_gap(column(*rows))
    assert (figure.value, figure.low, figure.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    assert figure.note.startswith("Newcombe's interval, since ")


@pytest.mark.parametrize("differences", [[1.0, 1, 1, 1], [0.5, -0.25, 1, 0.75, -0.5], [1, -1], [2.0]])
def test_the_exact_sign_flip_test_counts_all_patterns(differences):
    observed = abs(sum(differences))
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    naive = sum(total >= observed - 1e-12 for total in sums) / len(sums)
    assert sign_flip_p(np.array(differences)) == (naive, True)


def test_the_random_sign_flip_test_agrees_with_the_sign_test():
    """26 of 40 equal differences one way: two-sided binomial."""
    tail = sum(math.comb(40, hits) for hits in range(26, 41)) / 2**40
    p_value, exact = sign_flip_p(np.array([1.0] * 26 + [-1.0] * 14), flips=40_000)
    assert not exact
    assert p_value == pytest.approx(2 * tail, abs=0.006)


def test_the_random_sign_flip_test_never_says_that_chance_is_impossible():
    assert sign_flip_p(np.ones(60), flips=999) == (1 / 1000, False)


def test_no_difference_has_p_one():
    assert sign_flip_p(np.zeros(30)) == (1.0, True)
