import itertools
from dataclasses import replace

import pytest

from spct.bench.scoring.curve import curve, default_ks, mean_metrics
from spct.bench.suites import Ballot, Loaded, Metrics, Unit, load_benchmark
from spct.bench.suites.judgebench import JudgeBench
from spct.bench.suites.llmbar import LLMBar
from spct.bench.suites.realmistake import ReaLMistake
from spct.bench.suites.rmb import RMBPairs
from spct.errors import InputError
from spct.types import Item, Message

NATURAL, SWAPPED = (0, 1), (1, 0)


def item(id, n=2, subset="Natural", **values):
    return Item(id, (Message("user", id),), tuple(f"answer {i}" for i in range(n)), extra={"subset": subset}, **values)


def data(*items):
    units = tuple(Unit(one.id, (one.id,), one.extra["subset"], one.id) for one in items)
    return Loaded({one.id: one for one in items}, units, missing=("part",))


def plain(*rows):
    return [Ballot(row, NATURAL) for row in rows]


def swapping(*rows):
    return [Ballot(row, (NATURAL, SWAPPED)[i % 2]) for i, row in enumerate(rows)]


def units_at(found, k):
    point = next(point for point in found.points if point.k == k)
    return {unit.id: expected for unit, expected in point.units.items()}


def test_default_ks_are_powers_of_two_and_the_most():
    assert default_ks(12) == [1, 2, 4, 8, 12]
    assert default_ks(8) == [1, 2, 4, 8]
    assert default_ks(3, every=True) == [1, 2, 3]


def test_one_pair_by_hand():
    """Margins +1, +1, -3 and 0. k = 1: right, right, wrong, tied. k = 2: of the six pairs ++ and twice +0 are right,
    twice +- and once -0 wrong."""
    loaded = data(item("a", best=0))
    found = curve(LLMBar(), loaded, {"a": plain((6, 5), (6, 5), (4, 7), (5, 5))}, [1, 2, 4])
    one, two, all_four = (units_at(found, k)["a"] for k in (1, 2, 4))
    assert one.grades == pytest.approx((2 / 4, 1 / 4, 1 / 4, 0))
    assert (one.strict, one.random) == pytest.approx((0.5, 0.625))
    assert two.grades == pytest.approx((3 / 6, 3 / 6, 0, 0))
    assert all_four.grades == (0, 1, 0, 0)
    assert found.last.metrics["strict"].headline is None  # the other subsets are not here
    assert found.last.share("wrong") == 1


def test_invalid_samples_leave_the_vote_and_a_pick_of_them_alone_is_invalid():
    loaded = data(item("a", best=0))
    found = curve(LLMBar(), loaded, {"a": plain((6, 5), None)}, [1, 2])
    assert units_at(found, 1)["a"].grades == (0.5, 0, 0, 0.5)
    assert units_at(found, 2)["a"].grades == (1, 0, 0, 0)


def test_order_dependent_votes_use_both_orders_from_k_two_on():
    """A judge that always prefers the first: k = 1 is right in one order, k = 2 takes one of each and ties."""
    loaded = data(item("a", best=0, subset="math"))
    found = curve(JudgeBench(), loaded, {"a": swapping((1, 0), (0, 1), (1, 0), (0, 1))}, [1, 2, 4])
    assert found.plan.dealt
    assert units_at(found, 1)["a"].grades == (0.5, 0.5, 0, 0)
    assert units_at(found, 2)["a"].grades == (0, 0, 1, 0)
    assert units_at(found, 2)["a"].random == 0.5


def test_units_of_several_items_are_picked_alike():
    items = [item(id, best=0, subset="bon/Helpfulness/Chat/x") for id in ("p", "q")]
    loaded = Loaded({one.id: one for one in items}, (Unit("set", ("p", "q"), "bon/Helpfulness/Chat/x", "c"),))
    ballots = {"p": plain((2, 1), (1, 2)), "q": plain((2, 1), (2, 1))}
    found = curve(RMBPairs(), loaded, ballots, [1, 2])
    assert units_at(found, 1)["set"].grades == (0.5, 0.5, 0, 0)
    assert units_at(found, 2)["set"].grades == (0, 0, 1, 0)


def test_items_of_a_unit_with_unequal_numbers_of_samples_stand_side_by_side_whole():
    items = [item(id, best=0, subset="bon/Helpfulness/Chat/x") for id in ("p", "q")]
    loaded = Loaded({one.id: one for one in items}, (Unit("set", ("p", "q"), "bon/Helpfulness/Chat/x", "c"),))
    ballots = {"p": plain((2, 1), (2, 1)), "q": plain((2, 1), (1, 2), (1, 2), (1, 2))}
    found = curve(RMBPairs(), loaded, ballots, [1, 4])
    assert units_at(found, 1)["set"].strict == pytest.approx(1 / 4)
    assert units_at(found, 4)["set"].strict == 0


def test_figures_that_some_pick_lacks_are_left_out():
    whole, less = Metrics(0.5, {"a": 1.0, "b": 0.0}, {"c": 0.25}), Metrics(None, {"a": 0.5}, {})
    assert mean_metrics([whole, less], [0.5, 0.5]) == Metrics(None, {"a": 0.75}, {})
    assert mean_metrics([less, whole], [0.25, 0.75]) == Metrics(None, {"a": 0.875}, {})
    assert mean_metrics([whole, whole], [0.5, 0.5]) == whole


def test_an_item_stopped_early_votes_with_all_it_has():
    loaded = data(item("a", best=0), item("b", best=0))
    found = curve(LLMBar(), loaded, {"a": plain((2, 1)), "b": plain((2, 1), (1, 2), (1, 2), (1, 2))}, [4])
    assert units_at(found, 4)["a"].strict == 1
    assert units_at(found, 4)["b"].strict == 0


def test_an_item_without_ballots_is_invalid():
    found = curve(LLMBar(), data(item("a", best=0), item("b", best=0)), {"a": plain((2, 1)), "b": []}, [1])
    assert units_at(found, 1)["b"].grades == (0, 0, 0, 1)


def test_a_meta_rm_keeps_the_samples_it_likes():
    rows = plain((2, 1), (1, 2), (1, 2))
    found = curve(LLMBar(), data(item("a", best=0)), {"a": rows}, [1, 3], keep=lambda id, picked: picked[:1])
    assert units_at(found, 3)["a"].strict == 1
    assert units_at(found, 1)["a"].strict == pytest.approx(1 / 3)


def test_a_figure_that_is_not_linear_is_averaged_over_draws():
    """AUC of one sound and one faulty response: 1, 0.5 or 0 a draw; the mean credit alone could not tell."""
    items = [
        Item(id, (Message("user", id),), ("x",), rewards_N=(label,), extra={"subset": "s"})
        for id, label in (("good", 1.0), ("bad", 0.0))
    ]
    loaded = data(*items)
    ballots = {"good": [Ballot((s,), (0,)) for s in (1.0, 0.0)], "bad": [Ballot((s,), (0,)) for s in (0.0, 1.0)]}
    found = curve(ReaLMistake(), loaded, ballots, [1, 2])
    assert [(point.picks, point.exact, len(point.draws)) for point in found.points] == [(2, True, 2), (1, True, 1)]
    per_pick = [
        {unit.id: graded.value for unit, graded in draw.items()} for draw in found.points[0].draws
    ]  # items of one shape are picked alike: both first samples, or both second
    assert per_pick == [{"good": 1.0, "bad": 0.0}, {"good": 0.0, "bad": 1.0}]
    assert sum(e.strict for e in found.points[0].units.values()) / 2 == 0.5


def test_all_picks_of_a_benchmark_that_is_not_linear_are_taken_where_they_are_few():
    """k = 1 of 8, the right one above in 5 samples: exactly 5/8 at k = 1, and the vote over the first sample beside it."""
    right, wrong = Ballot((9, 1, 1, 1), (0, 1, 2, 3)), Ballot((1, 9, 1, 1), (0, 1, 2, 3))
    one = item("Math/1", n=4, best=0, subset="Math", rewards_N=(1.0, 0.0, 0.0, 0.0))
    loaded = data(replace(one, extra={"subset": "Math", "num_correct": 1}))
    found = curve(load_benchmark("rewardbench2"), loaded, {"Math/1": [right] * 5 + [wrong] * 3}, [1, 4, 8])
    assert [(point.picks, point.exact) for point in found.points] == [(8, True), (70, True), (1, True)]
    assert units_at(found, 1)["Math/1"].own == 5 / 8
    firsts = [next(iter(point.first.units.values())).own for point in found.points]
    assert firsts == [1, 1, 1]
    assert found.points[0].first.metrics["own"].parts == {"Math": 1.0}
    assert found.points[0].metrics["own"].parts == {"Math": 5 / 8}


def test_the_first_k_of_a_meta_rm_are_the_better_half_of_them():
    rows = plain((2, 1), (1, 2), (1, 2))
    found = curve(LLMBar(), data(item("a", best=0)), {"a": rows}, [1, 2], keep=lambda id, picked: picked[-1:])
    assert [next(iter(point.first.units.values())).strict for point in found.points] == [1, 0]


def test_curves_are_exact_up_to_some_thousands_of_picks():
    rows = [(2, 1)] * 6 + [(1, 2)] * 6
    found = curve(LLMBar(), data(item("a", best=0)), {"a": plain(*rows)}, [7])
    assert (found.points[0].picks, found.points[0].exact) == (792, True)
    share = sum(sum(i < 6 for i in pick) > 3 for pick in itertools.combinations(range(12), 7)) / 792
    assert units_at(found, 7)["a"].strict == pytest.approx(share)
    many = curve(LLMBar(), data(item("a", best=0)), {"a": plain(*rows * 3)}, [18])
    assert (many.points[0].picks, many.points[0].exact) == (256, False)


def test_drawn_picks_agree_with_all_picks():
    """Twelve samples, half of them right: the share of right votes over seven, against all 792 subsets."""
    rows = [(2, 1)] * 7 + [(1, 2)] * 5
    exact = sum(sum(i < 7 for i in pick) > 3 for pick in itertools.combinations(range(12), 7)) / 792
    loaded = data(*[item(str(i), best=0) for i in range(1300)])
    found = curve(LLMBar(), loaded, {str(i): plain(*rows) for i in range(1300)}, [7])
    assert (found.last.picks, found.last.exact) == (256, False)
    assert found.last.share("correct") == pytest.approx(exact, abs=0.06)


@pytest.mark.parametrize(("ballots", "ks", "message"), [({}, None, "no ballots"), ({"a": plain((2, 1))}, [2], "k = 2")])
def test_what_cannot_be_scored_is_refused(ballots, ks, message):
    with pytest.raises(InputError, match=message):
        curve(LLMBar(), data(item("a", best=0)), ballots, ks)
