import random
from hashlib import blake2b
from math import log2

import pytest
from scipy import stats

from measures import naive
from spct.measures import KINDS, measured, why_ungraded
from spct.measures.agreement import agreement
from spct.measures.case import Case
from spct.measures.labels import best_threshold, cross_fitted
from spct.measures.one_best import reciprocal_rank
from spct.measures.orders import spearman, tau_b
from spct.measures.pairs import wilson
from spct.measures.rewards import expected_best_of
from spct.types import Item, Message, Truth

ASK = (Message("user", "q"),)


def named(cases, scale=None, kind=None):
    """Name -> measure of the only kind, or of ``kind``."""
    kinds = {found.kind: found.measures for found in measured(cases, {}, scale).kinds}
    return {measure.name: measure for measure in (kinds[kind] if kind else next(iter(kinds.values())))}


def best(n, place):
    return Truth("best", tuple(float(i == place) for i in range(n)))


def test_one_best():
    cases = [
        Case("right", best(3, 0), (9, 5, 5)),
        Case("tied first", best(3, 1), (7, 7, 2)),
        Case("tied last", best(3, 2), (7, 4, 4)),
        Case("no vote", best(3, 2), None),
    ]
    found = named(cases)
    assert found["strict accuracy"].value == 0.25
    assert found["accuracy with 1/#tied for a tie"].value == (1 + 0.5) / 4
    assert found["mean reciprocal rank"].value == pytest.approx((1 + (1 + 1 / 2) / 2 + (1 / 2 + 1 / 3) / 2 + 0) / 4)
    assert found["strict accuracy"].over == 4


def test_reciprocal_rank_with_all_level():
    assert reciprocal_rank((5, 5, 5), 1) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_rewards_with_several_right_none_right_and_ties():
    groups = [((9, 9, 2, 1), (1, 0, 1, 0)), ((5, 4, 3, 2), (0, 0, 0, 0)), ((3, 8, 8, 1), (0, 1, 1, 1))]
    cases = [Case(str(i), Truth("rewards", values), votes) for i, (votes, values) in enumerate(groups)]
    found = named([*cases, Case("no vote", Truth("rewards", (1, 0)), None)])
    assert found["mean reward of the one chosen"].value == pytest.approx((0.5 + 0 + 1) / 3)
    assert found["mean reward of the one chosen"].over == 3
    assert found["mean reward of the best there"].value == pytest.approx(2 / 3)
    assert found["mean reward of one at random"].value == pytest.approx((0.5 + 0 + 0.75) / 3)
    assert found["regret against the best there"].value == pytest.approx((0.5 + 0 + 0) / 3)
    assert found["Kendall's tau-b"].value == pytest.approx(naive.within(naive.tau_b, groups), abs=1e-12)
    assert found["Spearman's rho"].value == pytest.approx(naive.within(naive.spearman, groups), abs=1e-12)
    assert found["Kendall's tau-b"].note == "1 left out, where it is not defined"
    expected = (naive.ndcg(*groups[0]) + naive.ndcg(*groups[2])) / 2
    assert found["NDCG"].value == pytest.approx(expected, abs=1e-12)
    assert found["NDCG"].over == 2
    for size in (1, 2, 3, 4):
        expected = sum(naive.best_of(*group, size) for group in groups) / 3
        assert found[f"best of {size}"].value == pytest.approx(expected, abs=1e-12)


def test_many_groups_at_once_have_the_correlations_that_scipy_gives_each():
    draw = random.Random(1)
    pairs = [
        [tuple(draw.randint(0, 4) for _ in range(n)) for _ in range(2)] for n in (2, 3, 3, 7, 40) for _ in range(80)
    ]
    usable = sorted([(a, b) for a, b in pairs if len(set(a)) > 1 and len(set(b)) > 1], key=lambda pair: len(pair[0]))
    assert len(usable) > 300
    assert tau_b(usable) == pytest.approx([stats.kendalltau(a, b).statistic for a, b in usable], abs=1e-12)
    assert spearman(usable) == pytest.approx([stats.spearmanr(a, b).statistic for a, b in usable], abs=1e-12)


def test_ndcg_of_a_plain_order():
    found = named([Case("a", Truth("rewards", (3.0, 0.0, 1.0)), (1, 3, 2))])
    assert found["NDCG"].value == pytest.approx((1 / log2(3) + 3 / 2) / (3 + 1 / log2(3)))


def test_negative_rewards_have_no_ndcg():
    found = named([Case("a", Truth("rewards", (-1.0, 2.0)), (1, 3))])
    assert found["NDCG"].value is None
    assert "rewards of 0 or more" in found["NDCG"].note


@pytest.mark.parametrize("seed", range(20))
def test_best_of_n_is_the_mean_over_all_choices(seed):
    draw = random.Random(seed)
    n = draw.randint(1, 9)
    votes = tuple(draw.randint(1, 4) for _ in range(n))
    values = tuple(draw.choice([0.0, 0.5, 1.0, -2.0]) for _ in range(n))
    for size in range(1, n + 1):
        assert expected_best_of(votes, values, size) == pytest.approx(naive.best_of(votes, values, size), abs=1e-12)


def test_best_of_n_goes_on_over_the_items_that_have_as_many():
    cases = [Case("a", Truth("rewards", (0.0, 1.0)), (1, 2)), Case("b", Truth("rewards", (0.0, 0.0, 1.0)), (1, 2, 3))]
    found = named(cases)
    assert [found[f"best of {size}"].over for size in (1, 2, 3)] == [2, 2, 1]
    assert found["best of 3"].value == 1.0


def test_ranking():
    groups = [((9, 5, 7), (2.0, 0.5, 0.5)), ((1, 2, 2), (0.0, 1.0, 2.0)), ((4, 4, 4), (0.0, 1.0, 2.0))]
    found = named([Case(str(i), Truth("ranking", values), votes) for i, (votes, values) in enumerate(groups)])
    assert list(found) == ["Kendall's tau-b", "Spearman's rho"]
    assert found["Kendall's tau-b"].value == pytest.approx(naive.within(naive.tau_b, groups), abs=1e-12)
    assert found["Spearman's rho"].over == 2


def pair(first):
    return Truth("pair", (first, 1 - first))


def test_pairs_with_ties():
    judged = [(9, 4), (5, 5), (3, 6), (8, 8), (7, 2)]
    said = [1.0, 0.5, 1.0, 0.0, 1.0]
    games = [(1.0, 1.0), (0.5, 0.5), (1.0, 0.0), None, (1.0, 0.5)]
    cases = [Case(str(i), pair(s), v, g) for i, (s, v, g) in enumerate(zip(said, judged, games, strict=True))]
    found = named([*cases, Case("no vote", pair(1.0), None)])
    choices = [1.0, 0.5, 0.0, 0.5, 1.0]
    assert found["three-way agreement"].value == 3 / 5
    assert found["Cohen's kappa"].value == pytest.approx(naive.kappa(choices, said), abs=1e-12)
    assert (found["both orders right"].value, found["both orders right"].over) == (2 / 4, 4)
    rate = found["win rate of the first response by the judge"]
    assert (rate.value, rate.over) == (3 / 5, 5)
    assert (rate.low, rate.high) == pytest.approx((0.2307, 0.8824), abs=1e-4)  # statsmodels: proportion_confint(3, 5)
    assert found["by people"].value == 3.5 / 5


def test_wilson_at_the_ends():
    low, high = wilson(0.0, 10)
    assert (low, round(high, 4)) == (0.0, 0.2775)
    low, high = wilson(1.0, 10)
    assert (round(low, 4), round(high, 12)) == (0.7225, 1.0)


def label(value):
    return Truth("label", (float(value),))


def labelled(seed, count):
    draw = random.Random(seed)
    return [(draw.randint(0, 1), float(draw.randint(1, 10))) for _ in range(count)]


@pytest.mark.parametrize("seed", range(5))
def test_lone_labels(seed):
    rows = labelled(seed, 40)
    truth, scores = [t for t, _ in rows], [s for _, s in rows]
    found = named([Case(f"i{i}", label(t), (s,)) for i, (t, s) in enumerate(rows)], (1, 10))
    assert found["ROC-AUC"].value == pytest.approx(naive.auc(scores, truth), abs=1e-12)
    given, thresholds = cross_fitted([(f"i{i}", s, t) for i, (t, s) in enumerate(rows)])
    assert len(thresholds) == 5
    assert found["accuracy at a threshold"].value == sum(g == t for g, t in zip(given, truth, strict=True)) / 40
    assert found["F1 there"].value == pytest.approx(naive.f1(given, truth), abs=1e-12)
    assert found["kappa there"].value == pytest.approx(naive.kappa(given, truth), abs=1e-12)


def test_a_threshold_never_sees_the_items_that_it_judges():
    """Scores that say nothing, one for each item: a threshold chosen on all items would look better than chance."""
    rows = [(f"i{i}", float(i), i % 2) for i in range(40)]
    given, thresholds = cross_fitted(rows)
    for part, threshold in enumerate(thresholds):
        ids = sorted(range(40), key=lambda i: (rows[i][2], blake2b(rows[i][0].encode()).digest()))
        inside = {i for place, i in enumerate(ids) if place % 5 == part}
        outside = [(score, y) for i, (_, score, y) in enumerate(rows) if i not in inside]
        right = {t: sum((score >= t) == bool(y) for score, y in outside) for t in [score + 0.5 for score, _ in outside]}
        assert sum((score >= threshold) == bool(y) for score, y in outside) == max(
            right[t] for t in right if t < max(score for score, _ in outside)
        )
        assert all(given[i] == (rows[i][1] >= threshold) for i in inside)


def test_thresholds():
    assert best_threshold([(1, 0), (3, 0), (5, 1), (9, 1)]) == 4.0
    assert best_threshold([(2, 0), (2, 1)]) == 2.0
    assert best_threshold([(1, 1), (2, 0), (3, 1)]) == 2.5
    assert best_threshold([(1, 0), (2, 1), (3, 0), (4, 1)]) == 1.5  # as good as 3.5, and the lower middle one


def test_labels_of_one_kind_have_no_area():
    found = named([Case("a", label(1), (3.0,)), Case("b", label(1), (4.0,))], (1, 10))
    assert [(m.name, m.value) for m in found.values()] == [("ROC-AUC", None)]
    assert "labelled 0 and responses labelled 1" in found["ROC-AUC"].note


def grade(value, scale=(1.0, 5.0)):
    return Truth("grade", (float(value),), scale)


def test_grades_on_one_scale_and_on_two():
    rows = [(1, 1.5), (2, 2.0), (5, 4.25), (3, 4.0), (4, 2.5)]
    cases = [Case(str(i), grade(g), (mean,)) for i, (g, mean) in enumerate(rows)]
    said, means = [g for g, _ in rows], [m for _, m in rows]
    found = named(cases, (1, 5))
    assert found["Pearson's r"].value == pytest.approx(naive.pearson(means, said), abs=1e-12)
    assert found["Spearman's rho"].value == pytest.approx(naive.spearman(means, said), abs=1e-12)
    squared = naive.kappa([2, 2, 4, 4, 3], said, lambda a, b: (a - b) ** 2)
    assert found["quadratic kappa"].value == pytest.approx(squared, abs=1e-12)
    assert found["mean absolute error"].value == pytest.approx((0.5 + 0 + 0.75 + 1 + 1.5) / 5)
    apart = named(cases, (1, 10))
    assert "mean absolute error" not in apart
    assert apart["quadratic kappa, mean absolute error"].value is None
    assert "grades on 1 to 5, scores on 1 to 10" in apart["quadratic kappa, mean absolute error"].note


def test_no_spread_has_no_correlation():
    found = named([Case("a", grade(2), (3.0,)), Case("b", grade(4), (3.0,))], (1, 5))
    assert (found["Pearson's r"].value, found["Pearson's r"].note) == (None, "not defined: no spread")


def people(*answers, kind="pair"):
    said = tuple(Truth(kind, (a, 1 - a) if kind == "pair" else (float(a),)) for a in answers)
    return Truth(kind, said[0].values_N if answers.count(answers[0]) * 2 > len(answers) else (), None, said)


def test_people_counted():
    answers = [(1.0, 1.0, 0.5), (0.0, 0.0, 0.0), (0.5, 0.5, 1.0), (1.0, 0.0), (0.0, 0.0, 1.0)]
    cases = [Case(str(i), people(*a), (9, 3) if i % 2 else (4, 4)) for i, a in enumerate(answers)]
    alone = Case("alone", people(1.0), None)
    assert named([*cases, alone], kind="people")["Krippendorff's alpha of the people"].over == 5
    found = named(cases, kind="people")
    expected = naive.alpha(answers, lambda a, b: float(a != b))
    assert found["Krippendorff's alpha of the people"].value == pytest.approx(expected, abs=1e-12)
    assert found["two people of an item agree"].value == pytest.approx((1 / 3 + 1 + 1 / 3 + 0 + 1 / 3) / 5)
    assert found["judge and a person agree"].value == pytest.approx((1 / 3 + 0 + 2 / 3 + 1 / 2 + 0) / 5)
    kinds = {kind.kind: kind.items for kind in measured(cases, {}).kinds}
    assert kinds == {"pair": 4, "people": 5}  # the even split is the people's alone


def test_people_with_grades():
    answers = [(1, 2, 2), (5, 4), (3, 3, 4), (2, 1, 1)]
    truths = [
        Truth("grade", (sum(a) / len(a),), (1.0, 5.0), tuple(Truth("grade", (float(x),), (1.0, 5.0)) for x in a))
        for a in answers
    ]
    means = [1.5, 4.5, 2.0, 2.5]
    cases = [Case(str(i), truth, (mean,)) for i, (truth, mean) in enumerate(zip(truths, means, strict=True))]
    found = named(cases, (1, 5), kind="people")
    expected = naive.alpha(answers, lambda a, b: (a - b) ** 2)
    assert found["Krippendorff's alpha of the people"].value == pytest.approx(expected, abs=1e-12)
    own = [x for a in answers for x in a]
    others = [(sum(a) - x) / (len(a) - 1) for a in answers for x in a]
    judge = [mean for a, mean in zip(answers, means, strict=True) for _ in a]
    assert found["Pearson's r of a person and the mean of the others"].value == pytest.approx(
        naive.pearson(own, others)
    )
    assert found["Spearman's rho of a person and the judge"].value == pytest.approx(naive.spearman(own, judge))
    assert named(cases, (1, 5), kind="grade")["mean absolute error"].over == 4


def test_the_people_agree_with_a_judge_only_on_the_scale_of_the_labels():
    cases = [Case("a", people(1, 1, kind="label"), (0.9,)), Case("b", people(0, 0, kind="label"), (0.5,))]
    assert named(cases, (0, 1), kind="people")["judge and a person agree"].value == 0.5
    off = named(cases, (1, 10), kind="people")["judge and a person agree"]
    assert (off.value, off.note) == (None, "the judge does not score 0 or 1")


def test_two_runs_agree():
    first = {"a": (9, 3), "b": (5, 5), "c": (2, 7, 7), "d": None, "e": (1, 2)}
    second = {"a": (8, 3), "b": (5, 6), "c": (2, 7, 9), "d": (1, 2), "f": (1, 2)}
    found = agreement(first, second)
    values = {measure.name: measure.value for measure in found.measures}
    assert found.flips == ("b", "c")
    assert values["the same choice"] == pytest.approx(1 / 3)
    assert values["Cohen's kappa of the choices"] == pytest.approx(naive.kappa([1, 3, 6], [1, 2, 4]), abs=1e-12)
    expected = (naive.tau_b((9, 3), (8, 3)) + naive.tau_b((2, 7, 7), (2, 7, 9))) / 2
    assert values["Kendall's tau-b"] == pytest.approx(expected, abs=1e-12)


def test_two_runs_over_lone_responses_agree():
    first, second = {"a": (1.0,), "b": (2.0,), "c": (4.0,)}, {"a": (2.0,), "b": (2.5,), "c": (3.0,)}
    values = {measure.name: measure.value for measure in agreement(first, second).measures}
    assert values["Pearson's r"] == pytest.approx(naive.pearson([1, 2, 4], [2, 2.5, 3]))
    assert values["mean absolute difference of the scores"] == pytest.approx(2.5 / 3)


def test_zeros_among_grades_are_grades():
    cases = [Case("a", label(0), (1.0,)), Case("b", Truth("grade", (3.0,)), (7.0,)), Case("c", label(1), (2.0,))]
    (found,) = measured(cases, {}).kinds
    assert (found.kind, found.items) == ("grade", 3)


def test_every_kind_is_measured_by_a_function_of_its_own():
    assert set(KINDS) == {"best", "rewards", "ranking", "pair", "label", "grade", "people"}
    truths = [best(3, 0), Truth("rewards", (1.0, 2.0)), Truth("ranking", (0.0, 1.0)), pair(0.5), label(1)]
    cases = [Case(str(i), truth, None) for i, truth in enumerate(truths)]
    assert [(found.kind, found.items, found.voted) for found in measured(cases, {}).kinds] == [
        ("best", 1, 0),
        ("rewards", 1, 0),
        ("ranking", 1, 0),
        ("pair", 1, 0),
        ("label", 1, 0),
    ]


def test_why_an_item_cannot_be_graded():
    said = tuple(pair(value) for value in (0.0, 1.0))
    items = [
        Item("a", ASK, ("x", "y"), best=0),
        Item("b", ASK, ("x", "y")),
        Item("c", ASK, ("x",), best=0),
        Item("d", ASK, ("x", "y"), truth=Truth("pair", (), None, said)),
    ]
    assert [why_ungraded(item) for item in items] == [
        None,
        "nothing says which response is right",
        "it names the best of one response",
        "as many people say one thing as another",
    ]
