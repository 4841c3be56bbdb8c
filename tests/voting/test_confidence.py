"""The confidence model: closed forms, ties, missing cells, and no certainty from few judgments."""

from __future__ import annotations

from math import inf, sqrt
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spct.voting.confidence import CEILING, PRIOR_JUDGMENTS, _t_tail, lead_chance, lead_confidence
from spct.voting.noise import TEN_POINTS


@pytest.mark.parametrize(
    ("t", "freedom", "upper"),
    [(2.132, 4, 0.05), (3.747, 4, 0.01), (2.015, 5, 0.05), (1.812, 10, 0.05), (2.764, 10, 0.01), (1.697, 30, 0.05)],
)
def test_the_t_tail_agrees_with_printed_tables(t: float, freedom: int, upper: float) -> None:
    assert _t_tail(t, freedom) == pytest.approx(upper, abs=0.002)
    assert _t_tail(-t, freedom) == pytest.approx(1 - upper, abs=0.002)


def test_many_judgments_give_the_normal_chance() -> None:
    rows = [(6, 5), (4, 6), (5, 4), (5, 5)] * 500
    margins = [a - b for a, b in rows]
    mean = sum(margins) / len(margins)
    assert mean == 0
    rows += [(7, 5)] * 20
    margins = [a - b for a, b in rows]
    mean = sum(margins) / len(margins)
    deviation = sqrt(sum((x - mean) ** 2 for x in margins) / len(margins))
    normal = NormalDist().cdf(mean * sqrt(len(margins)) / deviation)
    assert lead_chance(rows, 0, inf) == pytest.approx(normal, abs=0.002)


def test_a_tie_of_t_counts_one_in_t() -> None:
    assert lead_confidence([(7, 7)], 0) == 0.5
    assert lead_confidence([(7, 7, 7, 7)] * 8, 2) == pytest.approx(0.25)
    assert lead_confidence([(8, 6), (6, 8)], 1) == 0.5
    assert lead_chance([(7, 7, 7)], 0, 0) == pytest.approx(1 / 3)


def test_equal_margins_are_never_certain() -> None:
    single, eight = lead_confidence([(7, 6)], 0), lead_confidence([(7, 6)] * 8, 0)
    assert single is not None and eight is not None
    assert single == pytest.approx(0.8851, abs=1e-3)
    assert 0.999 < eight < 1
    assert lead_confidence([(10, 1)] * 1000, 0) == CEILING


def test_the_stated_formula_for_two_responses() -> None:
    rows = [(8, 6), (7, 6), (6, 7)]
    mean, squares, m, h = 2 / 3, 14 / 3, 3, 5
    freedom = PRIOR_JUDGMENTS + m - 1
    deviation = sqrt((PRIOR_JUDGMENTS * TEN_POINTS + squares) / freedom)
    assert lead_chance(rows, 0, h) == pytest.approx(1 - _t_tail(mean / deviation * sqrt(m * (m + h) / h), freedom))
    assert lead_chance(rows, 0, inf) == pytest.approx(1 - _t_tail(mean / deviation * sqrt(m), freedom))
    fresh = lead_chance(rows, 0, h, fresh=True)
    assert fresh == pytest.approx(1 - _t_tail(mean / deviation * sqrt(m * h / (m + h)), freedom))


def test_nothing_to_come_decides() -> None:
    assert lead_chance([(8, 7)], 0, 0) == 1.0
    assert lead_chance([(8, 7)], 1, 0) == 0.0


def test_of_no_further_judgments_nobody_leads_the_sum() -> None:
    assert lead_chance([(8, 7)], 0, 0, fresh=True) == 0.5
    assert lead_chance([(8, 7), (9, 1)], 1, 0, fresh=True) == 0.5
    assert lead_chance([(8, 7, 6, 5)], 0, 0, fresh=True) == pytest.approx(1 / 4)


def test_single_responses_and_rivals_never_compared_have_none() -> None:
    assert lead_confidence([(5,), (6,)], 0) is None
    assert lead_confidence([(8, None, 7), (None, 6, 7)], 0) is None


def test_missing_cells_are_left_out_of_the_margins() -> None:
    rows = [(8, 6, None), (8, 6, 5), (7, None, 5), (None, 6, 5)]
    got = lead_confidence(rows, 0)
    assert got is not None and 0.9 < got < 1


scores = st.integers(1, 10)


@given(st.integers(2, 5).flatmap(lambda n: st.lists(st.tuples(*[scores] * n), min_size=1, max_size=12)))
def test_it_is_a_chance_and_the_leaders_is_at_least_its_share(rows: list[tuple[int, ...]]) -> None:
    totals = [sum(column) for column in zip(*rows, strict=True)]
    chance = lead_confidence(rows, totals.index(max(totals)))
    assert chance is not None
    assert 1 / len(totals) - 1e-9 <= chance <= CEILING
    assert lead_confidence(rows[::-1], totals.index(max(totals))) == pytest.approx(chance)
