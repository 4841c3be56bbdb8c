import math

import pytest

from bench.samples import Ballot, ballot, by_subset, grades, metrics, real, write_json
from spct.bench.suites import load_benchmark
from spct.bench.suites.llmbar import cohen_kappa, statistics
from spct.errors import InputError

BENCH = load_benchmark("llmbar")
ROW = {"input": "do it", "output_1": "one", "output_2": "two", "label": 1}


def games(own, swapped):
    return [Ballot(own, (0, 1)), Ballot(swapped, (1, 0))]


@pytest.mark.parametrize(
    ("own", "swapped", "grade", "credit", "strict"),
    [
        ((9, 5), (9, 5), "correct", 1.0, 1.0),
        ((9, 5), (5, 9), "tied", 0.5, 0.0),
        ((7, 7), (7, 7), "tied", 0.5, 0.0),
        ((9, 5), (7, 7), "tied", 0.75, 0.0),
        ((9, 5), None, "tied", 0.5, 0.0),
        ((5, 9), (5, 9), "wrong", 0.0, 0.0),
        (None, None, "invalid", 0.0, 0.0),
    ],
)
def test_credit_is_the_mean_over_both_orders(tmp_path, own, swapped, grade, credit, strict):
    loaded = BENCH.load(write_json(tmp_path / "Natural" / "dataset.json", [ROW]))
    (found,) = grades(BENCH, loaded, {"Natural/0": games(own, swapped)}).values()
    assert (found.grade, found.own, found.strict, found.random) == (grade, credit, strict, credit)


def test_the_score_is_the_mean_of_the_subsets():
    units, loaded = by_subset(Natural=0.9, Neighbor=0.5, GPTInst=0.6, GPTOut=0.7, Manual=0.8)
    found = BENCH.aggregate(units, {}, loaded)
    assert found.headline == pytest.approx(0.7, abs=1e-15)
    assert found.parts["Adversarial"] == pytest.approx(0.65, abs=1e-15)


def test_upstream_statistics_worked_by_hand(tmp_path):
    rows = [ROW | {"label": label, "input": f"do {i}"} for i, label in enumerate((1, 2, 1, 2))]
    loaded = BENCH.load(write_json(tmp_path / "Manual" / "dataset.json", rows))
    votes = [games((9, 5), (9, 5)), games((7, 7), (7, 7)), games((1, 0), None), games((0, 1), (1, 0))]
    found = statistics(loaded, {f"Manual/{i}": vote for i, vote in enumerate(votes)})
    # picks: as it is 1 2 1 2, swapped 1 1 none 1; labels 1 2 1 2
    assert found["correct_False"] == 1.0
    assert found["correct_True"] == 0.25
    assert found["correct_average"] == 0.625
    assert found["correct_both"] == 0.25
    assert found["equal"] == 0.25
    assert found["kappa_False"] == cohen_kappa([1, 0, 1, 0], [1, 2, 1, 2]) == pytest.approx(1 / 3, abs=1e-15)
    assert found["kappa_agreement"] == cohen_kappa([1, 0, 1, 0], [1, 1, 0, 1])
    with pytest.raises(InputError, match="both"):
        statistics(loaded, {f"Manual/{i}": [ballot(1, 2)] for i in range(4)})


def test_kappa():
    assert cohen_kappa([1, 2, 1, 2], [1, 2, 2, 1]) == 0.0
    assert cohen_kappa([1, 2], [1, 2]) == 1.0
    assert cohen_kappa([1, 1, 1, 2], [1, 1, 2, 2]) == 0.5
    assert math.isnan(cohen_kappa([1, 1], [1, 1]))


@pytest.mark.parametrize(("key", "value"), [("label", 0), ("label", "1"), ("output_2", None), ("input", " ")])
def test_a_broken_row_is_named(tmp_path, key, value):
    with pytest.raises(InputError, match=r"element 1 \(counting from 0\)"):
        BENCH.load(write_json(tmp_path / "Natural" / "dataset.json", [ROW, ROW | {key: value}]))


def test_a_folder_without_a_subset_is_refused(tmp_path):
    write_json(tmp_path / "Other" / "dataset.json", [ROW])
    with pytest.raises(InputError, match="got no folder Natural"):
        BENCH.load(tmp_path)


def test_a_missing_subset_leaves_no_score(tmp_path):
    loaded = BENCH.load(write_json(tmp_path / "Natural" / "dataset.json", [ROW] * 100))
    assert loaded.missing == ("Neighbor", "GPTInst", "GPTOut", "Manual")
    found = metrics(BENCH, loaded, {id: [ballot(2, 1)] for id in loaded.items})
    assert (found.headline, found.parts, found.partial) == (None, {"Natural": 1.0}, {"overall, subsets here": 1.0})


@pytest.mark.parametrize(("name", "pairs"), [("llmbar", 419), ("llmbar-processed", 466)])
def test_the_real_files(name, pairs):
    bench = load_benchmark(name)
    loaded = bench.load(real("bench", "llmbar"))
    assert (len(loaded.units), loaded.missing) == (pairs, ())
    right = {id: [ballot(1 - item.best, item.best)] for id, item in loaded.items.items()}
    assert metrics(bench, loaded, right).headline == 1.0
    assert metrics(bench, loaded, {id: [ballot(5, 5)] for id in right}).headline == 0.5
