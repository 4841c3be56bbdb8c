import pytest

from bench.samples import ballot, by_subset, grades, metrics, write_jsonl
from spct.bench.suites import load_benchmark
from spct.errors import InputError

PREFERENCE, CORRECTNESS = load_benchmark("ppe-preference"), load_benchmark("ppe-correctness")


def vote(id, winner, **flags):
    texts = {"prompt": f"q{id}", "response_1": "a", "response_2": "b", "model_a": "m1", "model_b": "m2"}
    return {"question_id": id, "winner": winner, "language": "English"} | texts | flags


def question(id, pairs, scores=(True, False, False)):
    texts = {f"response_{i + 1}": f"r{i}" for i in range(len(scores))}
    return {
        "question_id": id,
        "prompt": f"q{id}",
        "scores": list(scores),
        "sampled_conflict_pairs": pairs,
        "model_name": "m",
    } | texts


def test_votes_for_a_tie_are_left_out_and_a_judges_tie_earns_half(tmp_path):
    rows = [
        vote("1", "model_a", is_code=True),
        vote("2", "model_b", is_code=False),
        vote("3", "tie"),
        vote("4", "tie (bothbad)"),
        vote("5", "model_b"),
    ]
    loaded = PREFERENCE.load(write_jsonl(tmp_path / "a.jsonl", rows))
    assert {id: item.best for id, item in loaded.items.items()} == {"1": 0, "2": 1, "5": 1}
    assert loaded.notes == ("2 votes for a tie left out",)
    ballots = {"1": [ballot(9, 1)], "2": [ballot(5, 5)]}
    assert [g.grade for g in grades(PREFERENCE, loaded, ballots).values()] == ["correct", "tied", "invalid"]
    found = metrics(PREFERENCE, loaded, ballots)
    assert (found.headline, found.parts) == (0.5, {"language/English": 0.5, "is_code": 1.0})
    assert metrics(PREFERENCE, loaded, ballots, "strict").headline == pytest.approx(1 / 3)


def test_conflict_pairs_become_items_with_the_right_answer_where_it_is(tmp_path):
    folder = tmp_path / "PPE-MMLU-Pro-Best-of-K"
    loaded = CORRECTNESS.load(write_jsonl(folder / "train.jsonl", [question("7", [[0, 2], [1, 0]])]))
    items = list(loaded.items.values())
    assert [(item.id, item.responses, item.best) for item in items] == [
        ("MMLU-Pro/7/0", ("r0", "r2"), 0),
        ("MMLU-Pro/7/1", ("r1", "r0"), 1),
    ]
    assert len({unit.cluster for unit in loaded.units}) == 1
    assert loaded.missing == ("GPQA", "MBPP+", "IFEval", "MATH")
    assert metrics(CORRECTNESS, loaded, {}).headline is None


def test_the_score_is_the_mean_of_the_five_sets():
    units, loaded = by_subset(**{"MMLU-Pro": 0.7, "MATH": 0.9, "GPQA": 0.5, "MBPP+": 0.6, "IFEval": 0.8})
    assert CORRECTNESS.aggregate(units, {}, loaded).headline == pytest.approx(0.7, abs=1e-15)


@pytest.mark.parametrize(
    "name", ["PPE-MATH-Best-of-K", "math_best_of_k", "mbpp_plus_best_of_k", "PPE-MBPP-Plus-Best-of-K"]
)
def test_the_set_is_told_by_a_name(tmp_path, name):
    loaded = CORRECTNESS.load(write_jsonl(tmp_path / name / "a.jsonl", [question("7", [[0, 2]])]).parent)
    assert loaded.units[0].subset == ("MBPP+" if "bpp" in name.lower() else "MATH")


@pytest.mark.parametrize("bad", [[1, 2], [0, 9], [0], "01"])
def test_a_pair_that_does_not_conflict_is_named(tmp_path, bad):
    path = write_jsonl(tmp_path / "gpqa.jsonl", [question("7", [[0, 1], bad])])
    with pytest.raises(InputError, match=r"gpqa\.jsonl, line 1: got the conflict pair"):
        CORRECTNESS.load(path)


def test_a_vote_of_another_kind_is_named(tmp_path):
    with pytest.raises(InputError, match="got the winner 'a'"):
        PREFERENCE.load(write_jsonl(tmp_path / "a.jsonl", [vote("1", "a")]))


def test_a_file_of_no_known_set_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot tell which set"):
        CORRECTNESS.load(write_jsonl(tmp_path / "x.jsonl", [question("7", [[0, 1]])]))
