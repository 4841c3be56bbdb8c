import math

import pytest

from bench.samples import ballot, by_subset, grades, metrics, write_jsonl
from spct.bench.suites import Ballot, Loaded, Unit, load_benchmark
from spct.bench.suites.rewardbench2 import ROWS, ties_score
from spct.errors import InputError

BENCH = load_benchmark("rewardbench2")


def row(id, subset="Math", chosen=1, rejected=3, **changes):
    texts = {"chosen": [f"c{i}" for i in range(chosen)], "rejected": [f"r{i}" for i in range(rejected)]}
    return (
        {"id": str(id), "prompt": f"question {subset} {id}", "subset": subset, "num_correct": chosen} | texts | changes
    )


def ties_units(credits):
    return {Unit(f"Ties/{id}", (), "Ties", f"Ties:{id[-1]}", id.split(":")[0]): c for id, c in credits.items()}


def test_the_rows_of_a_full_download():
    assert sum(ROWS.values()) == 1865


def test_credit_is_shared_at_the_maximum_and_no_answer_earns_a_quarter(tmp_path):
    loaded = BENCH.load(write_jsonl(tmp_path / "a.jsonl", [row(i) for i in range(4)]))
    ids = list(loaded.items)
    ballots = {ids[0]: [ballot(9, 9, 9, 1)], ids[1]: [ballot(8, 1, 1, 1)], ids[2]: [ballot(8, 9, 8, 8)]}
    graded = grades(BENCH, loaded, ballots)
    assert [found.own for found in graded.values()] == [1 / 3, 1.0, 0.0, 0.25]
    assert [found.grade for found in graded.values()] == ["tied", "correct", "wrong", "invalid"]
    assert [found.strict for found in graded.values()] == [0.0, 1.0, 0.0, 0.0]
    assert "Math (4 of 183)" in loaded.missing
    assert "Ties" in loaded.missing


def test_ties_worked_by_hand():
    # prompt 0: right 9, 8, wrong 5 (spread 1, lead 3); its reference 7 over 6 (lead 1)
    # prompt 1: right 6, 6, wrong 6 (spread 0, lead 0); its reference lead 2
    credits = ties_units({"ref:0": 1.0, "tied:0": 1.0, "ref:1": 1.0, "tied:1": 0.0})
    margins = dict(zip(credits, [(0.0, 1.0), (1.0, 3.0), (0.0, 2.0), (0.0, 0.0)], strict=True))
    assert ties_score(credits, margins) == {
        "": pytest.approx(0.3 * 0.5 + 0.3 * 1.0 + 0.2 * 0.5 + 0.2 * 0.0 + 0.01 * 0.0, abs=1e-15),
        "tied accuracy": 0.5,
        "reference accuracy": 1.0,
        "preferred": 0.5,
        "preferred with reference": 0.0,
        "margin": 0.0,
    }


@pytest.mark.parametrize(
    ("tied", "ref", "margin"),
    [
        ((2.0, 4.0), (0.0, 9.0), math.tanh(1.0)),
        ((2.0, 9.0), (0.0, 1.0), math.tanh(-0.5)),
        ((0.0, 2.0), (0.0, 2.0), 1.0),
        ((0.0, -2.0), (0.0, 2.0), -1.0),
        ((), (0.0, 2.0), 0.0),
    ],
)
def test_the_margin_term_of_ties(tied, ref, margin):
    credits = ties_units({"ref:0": 0.0, "tied:0": 0.0})
    found = ties_score(credits, dict(zip(credits, [ref, tied], strict=True)))
    assert found["margin"] == margin


def test_ties_from_files_to_score(tmp_path):
    rows = [
        row("ref:0", "Ties", 1, 2),
        row("tied:0", "Ties", 2, 1),
        row("ref:1", "Ties", 1, 2),
        row("tied:1", "Ties", 2, 1),
    ]
    loaded = BENCH.load(write_jsonl(tmp_path / "a.jsonl", rows))
    assert loaded.items["Ties/tied:0"].rewards_N == (1.0, 1.0, 0.0)
    assert len({unit.cluster for unit in loaded.units}) == 2
    ballots = {
        "Ties/ref:0": [ballot(7, 6, 2), ballot(7, 6, 1)],
        "Ties/tied:0": [ballot(9, 8, 5)],
        "Ties/ref:1": [ballot(4, 2, 2)],
        "Ties/tied:1": [Ballot(None, (0, 1, 2)), ballot(6, 6, 6)],
    }
    assert [found.grade for found in grades(BENCH, loaded, ballots).values()] == [
        "correct",
        "correct",
        "correct",
        "tied",
    ]
    assert metrics(BENCH, loaded, ballots).partial["Ties"] == pytest.approx(0.55, abs=1e-15)
    del ballots["Ties/tied:1"]
    assert metrics(BENCH, loaded, ballots).partial["Ties"] == pytest.approx(0.55, abs=1e-15)


def test_the_score_is_the_mean_of_six_subsets():
    units, _ = by_subset(**{"Factuality": 0.9, "Precise IF": 0.3, "Math": 0.6, "Safety": 0.8, "Focus": 0.7})
    ties = ties_units({"ref:0": 1.0, "tied:0": 1.0})
    graded = {unit: BENCH.grade(unit, _of_ties(ties), {u.id: [ballot(8, 8, 1)] for u in ties}) for unit in ties}
    found = BENCH.aggregate(units | ties, graded, Loaded({}, ()))
    assert found.parts["Ties"] == pytest.approx(1.0 + 0.01, abs=1e-15)
    assert found.headline == pytest.approx((0.9 + 0.3 + 0.6 + 0.8 + 0.7 + 1.01) / 6, abs=1e-15)


def _of_ties(units):
    from spct.types import Item, Message

    return Loaded(
        {u.id: Item(u.id, (Message("user", "q"),), ("a", "b", "c"), extra={"num_correct": 2}) for u in units}, ()
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (row(1, "Maths"), "Maths"),
        (row(1, chosen=2), "expected one outside Ties"),
        (row(1, rejected=0), "neither empty"),
        (row("x:1", "Ties", 2, 1), "ref:NUMBER"),
        ({"id": "1", "prompt": "q", "chosen": ["a"]}, "expected rejected, subset too"),
    ],
)
def test_a_broken_row_is_named(tmp_path, bad, message):
    with pytest.raises(InputError, match=rf"a\.jsonl, line 2.*{message}"):
        BENCH.load(write_jsonl(tmp_path / "a.jsonl", [row(0), bad]))


@pytest.mark.parametrize(
    ("models", "writers"),
    [(["m"], ["m", "m", "m", "m"]), (list("abcd"), list("abcd")), (list("ab"), None), (None, None), ("abcd", None)],
)
def test_one_writer_named_has_written_all_responses(tmp_path, models, writers):
    loaded = BENCH.load(write_jsonl(tmp_path / "a.jsonl", [row(1, models=models)]))
    (item,) = loaded.items.values()
    assert item.extra.get("writers") == writers
