import pytest

from bench.samples import Ballot, ballot, by_subset, grades, metrics, real, write_jsonl
from spct.bench.suites import load_benchmark
from spct.errors import InputError

BENCH = load_benchmark("judgebench")


def row(id, label="A>B", source="mmlu-pro-law", model="gpt-4o-2024-05-13"):
    return {
        "pair_id": id,
        "source": source,
        "question": f"question {id}",
        "response_model": model,
        "response_A": "a",
        "response_B": "b",
        "label": label,
    }


@pytest.mark.parametrize(
    ("own", "swapped", "grade", "credit"),
    [
        ((9, 5), (9, 5), "correct", 1.0),
        ((9, 5), (7, 7), "correct", 1.0),
        ((9, 5), None, "correct", 1.0),
        ((9, 5), (5, 9), "tied", 0.0),
        ((7, 7), (7, 7), "tied", 0.0),
        ((7, 7), (5, 9), "wrong", 0.0),
        ((5, 9), (5, 9), "wrong", 0.0),
        (None, None, "invalid", 0.0),
    ],
)
def test_right_only_if_the_votes_of_both_orders_sum_to_more_than_zero(tmp_path, own, swapped, grade, credit):
    loaded = BENCH.load(write_jsonl(tmp_path / "a.jsonl", [row("1")]))
    ballots = {"1": [Ballot(own, (0, 1)), Ballot(swapped, (1, 0))]}
    (found,) = grades(BENCH, loaded, ballots).values()
    assert (found.grade, found.own, found.strict) == (grade, credit, credit)
    assert found.random == (0.5 if grade == "tied" else credit)


def test_several_ballots_of_one_order_are_one_game(tmp_path):
    loaded = BENCH.load(write_jsonl(tmp_path / "a.jsonl", [row("1", "B>A")]))
    own = [ballot(1, 9), ballot(5, 4), ballot(5, 4)]  # 11 to 17 for the second response, which is right
    swapped = [ballot(8, 2, order=(1, 0))]
    assert grades(BENCH, loaded, {"1": own})[loaded.units[0]].grade == "correct"
    assert grades(BENCH, loaded, {"1": [*own, *swapped]})[loaded.units[0]].grade == "tied"


def test_the_score_is_over_all_pairs_alike():
    units, loaded = by_subset(knowledge=0.5, reasoning=1.0, math=0.0, coding=0.0)
    assert BENCH.aggregate(units, {}, loaded).headline == 0.375


def test_a_part_of_the_pairs_has_no_score(tmp_path):
    loaded = BENCH.load(write_jsonl(tmp_path / "a.jsonl", [row("1"), row("2", source="livecodebench")]))
    assert loaded.missing == ("knowledge (1 of 154)", "reasoning", "math", "coding (1 of 42)")
    found = metrics(BENCH, loaded, {"1": [ballot(2, 1)], "2": [ballot(1, 2)]})
    assert (found.headline, found.parts) == (None, {})
    assert found.partial == {"knowledge": 1.0, "coding": 0.0, "overall, pairs here": 0.5}


@pytest.mark.parametrize(("key", "value"), [("label", "A=B"), ("source", "else"), ("question", None)])
def test_a_broken_row_is_named(tmp_path, key, value):
    with pytest.raises(InputError, match=r"a\.jsonl, line 2"):
        BENCH.load(write_jsonl(tmp_path / "a.jsonl", [row("1"), row("2") | {key: value}]))


def test_pairs_by_another_model_are_left_out(tmp_path):
    with pytest.raises(InputError, match="got pairs by m; judgebench takes those by gpt-4o"):
        BENCH.load(write_jsonl(tmp_path / "a.jsonl", [row("1", model="m")]))
    loaded = BENCH.load(write_jsonl(tmp_path / "b.jsonl", [row("1", model="m"), row("2")]))
    assert (list(loaded.items), loaded.notes) == (["2"], ("1 pairs by another response model left out",))


@pytest.mark.parametrize(("name", "pairs"), [("judgebench", 350), ("judgebench-claude", 270)])
def test_the_real_files(name, pairs):
    bench = load_benchmark(name)
    loaded = bench.load(real("bench", "judgebench"))
    assert (len(loaded.units), loaded.missing) == (pairs, ())
    right = {id: [ballot(1 - item.best, item.best)] for id, item in loaded.items.items()}
    assert metrics(bench, loaded, right).headline == 1.0
