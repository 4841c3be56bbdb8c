"""Importers of what others publish, on hand-made samples in each repository's shape."""

import json

import numpy as np
import pytest

from bench.samples import replayed, write_json, write_jsonl
from spct.bench.importers import import_recorded
from spct.bench.suites import Ballot, load_benchmark
from spct.errors import InputError
from spct.run.store import RunStore

ITEMS = load_benchmark("items")


def stored(kind, path, out, **options):
    """An imported run: its items, its settings and its ballots."""
    loaded, ballots = replayed(kind, path, out, ITEMS, **options)
    store = RunStore.open(out)
    settings = json.loads(store.meta("settings"))
    store.close()
    return loaded.items, settings, ballots


def annotation(preference, **more):
    row = {"instruction": "Name a prime.", "output_1": "9", "output_2": "11", "generator_1": "base", "generator_2": "new",
           "dataset": "helpful_base", "annotator": "judge-1", "preference": preference}  # fmt: skip
    return row | {"price_per_example": 0.01, "raw_completion": {"text": "m", "finish_reason": "length"}} | more


def test_alpaca_eval_preferences_are_shares_of_a_win(tmp_path):
    rows = [
        annotation(1.75),
        annotation(1.0, instruction="Name a square.", raw_completion="Output (a)"),
        annotation(0.0, instruction="Name a cube.", raw_completion=None),
        annotation(None, instruction="Name a sum."),
        annotation(2.0, instruction="Name a cube."),
    ]
    items, settings, ballots = stored("alpaca-eval", write_json(tmp_path / "annotations.json", rows), tmp_path / "run")
    assert settings["model"] == "recorded:judge-1"
    assert [[ballot.scores_N for ballot in row] for row in ballots.values()] == [
        [(0.25, 0.75)],
        [(1.0, 0.0)],
        [(0.5, 0.5), (0.0, 1.0)],
        [None],
    ]
    assert items["0"].responses == ("9", "11")
    assert items["0"].extra == {"subset": "helpful_base", "writers": ["base", "new"]}
    assert items["0"].truth is None


def test_one_of_several_annotators_is_named(tmp_path):
    rows = [annotation(1.0), annotation(2.0, annotator="judge-2")]
    path = write_json(tmp_path / "annotations.json", rows)
    with pytest.raises(InputError, match="expected annotator= with one of judge-1, judge-2"):
        import_recorded("alpaca-eval", path, tmp_path / "run")
    _, _, ballots = stored("alpaca-eval", path, tmp_path / "run", annotator="judge-2")
    assert ballots == {"0": [Ballot((0.0, 1.0), (0, 1))]}


NAMES = ["modified", "human_to_GPT-4", "other"]


def test_rewardmath_scores_of_one_right_solution_and_wrong_ones(tmp_path):
    rows = [
        {"problem": "1 + 1?", "solution_reference": NAMES, "score": [4, 10, 2]},
        {"problem": "2 + 2?", "solution_reference": NAMES, "score": [7, 3, None]},
    ]
    items, settings, ballots = stored("rewardmath", write_json(tmp_path / "mine_reward.json", rows), tmp_path / "run")
    assert settings["model"] == "recorded:mine"
    assert [ballot.scores_N for row in ballots.values() for ballot in row] == [(4, 10, 2), (7, 3, None)]
    assert (items["0"].best, items["0"].messages[0].content, items["0"].extra["writers"]) == (1, "1 + 1?", NAMES)


def test_rewardmath_steps_become_one_score(tmp_path):
    rows = [{"problem": "1 + 1?", "solution_reference": NAMES[:2], "score": [[0.5, 0.5], [0.25, 1.0]]}]
    path = write_json(tmp_path / "steps.json", rows)
    with pytest.raises(InputError, match="a score for each step; expected steps= with one of min, max, prod"):
        import_recorded("rewardmath", path, tmp_path / "run")
    found = {}
    for steps in ("min", "prod", "mean", "geometric_mean", "last"):
        (row,) = stored("rewardmath", path, tmp_path / steps, steps=steps)[2].values()
        found[steps] = row[0].scores_N
    assert found == {
        "min": (0.5, 0.25),
        "prod": (0.25, 0.25),
        "mean": (0.5, 0.625),
        "geometric_mean": (0.5, 0.5),
        "last": (0.5, 1.0),
    }


def test_rewardmath_comparisons_are_pairs_in_the_order_shown(tmp_path):
    rows = [{"problem": "1 + 1?", "solution_reference": ["x", "y", "z"], "score": ["A", "A", None],
             "chosen_position": ["A", "B", "B"]}]  # fmt: skip
    items, _, ballots = stored("rewardmath", write_json(tmp_path / "a.json", rows), tmp_path / "run")
    assert ballots == {
        "0/0": [Ballot((1, 0), (0, 1))],
        "0/1": [Ballot((0, 1), (1, 0))],
        "0/2": [Ballot(None, (1, 0))],
    }
    assert items["0/1"].extra["writers"] == ["human_to_GPT-4", "y"]


def pandalm_pair(idx, *labels, **more):
    row = {"idx": idx, "motivation_app": "Search", "cmp_key": "one-7b_two-7b", "instruction": "Shorten.", "input": "a b",
           "response1": "a", "response2": "b"}  # fmt: skip
    return row | {f"annotator{i}": label for i, label in enumerate(labels, 1)} | more


def test_pandalm_decisions_beside_three_peoples_labels(tmp_path):
    pairs = [pandalm_pair(7, 1, 1, 2), pandalm_pair(8, 0, 0, 2, input=float("nan")), pandalm_pair(9, 2, 1, 0)]
    write_json(tmp_path / "testset-v1.json", pairs)  # upstream writes NaN too
    judged = [
        {"idx": 7, "mine_result": "1", "mine_reason": "shorter"},
        {"idx": 8, "mine_result": "Tie"},
        {"idx": 9, "mine_result": "garbage"},
    ]
    items, settings, ballots = stored("pandalm", write_json(tmp_path / "mine.json", judged), tmp_path / "run")
    assert settings["model"] == "recorded:mine"
    assert [row[0].scores_N for row in ballots.values()] == [(1, 0), (0, 0), None]
    assert [item.truth.values_N for item in items.values()] == [(1.0, 0.0), (0.5, 0.5), ()]
    assert [len(item.truth.people) for item in items.values()] == [3, 3, 3]
    assert [item.messages[0].content for item in items.values()] == ["Shorten.\n\na b", "Shorten.", "Shorten.\n\na b"]
    assert items["7"].extra == {"subset": "Search", "writers": ["one-7b", "two-7b"]}


def autoj_pair(label):
    return {"scenario": "planning", "label": label, "prompt": "Plan it.", "response 1": "first", "response 2": "second"}


def test_auto_j_decisions_in_both_orders(tmp_path):
    data = write_jsonl(tmp_path / "pairs.jsonl", [autoj_pair(0), autoj_pair(1), autoj_pair(2)])
    path = write_jsonl(tmp_path / "a.jsonl", [{"output": 0}, {"output": 0}, {"output": 2}])
    swapped = write_jsonl(tmp_path / "b.jsonl", [{"output": 1}, {"output": 0}, {"output": None}])
    options = {"data": str(data), "swapped": str(swapped), "model": "mine"}
    items, _, ballots = stored("auto-j", path, tmp_path / "run", **options)
    assert ballots == {
        "0": [Ballot((1, 0), (0, 1)), Ballot((1, 0), (1, 0))],
        "1": [Ballot((1, 0), (0, 1)), Ballot((0, 1), (1, 0))],
        "2": [Ballot((0, 0), (0, 1)), Ballot(None, (1, 0))],
    }
    assert [item.truth.values_N for item in items.values()] == [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)]
    _, _, alone = stored("auto-j", path, tmp_path / "alone", data=str(data))
    assert [len(row) for row in alone.values()] == [1, 1, 1]


COLUMNS = {
    "text_chosen": ["q a", "q b", "r a"],
    "text_rejected": ["q c", "q d", "r b"],
    "results": [1, 0, 0],
    "subset": ["hep-go", "hep-go", "donotanswer"],
    "id": [3, 4, 3],
    "scores_chosen": [2.5, [1.0], None],
    "scores_rejected": [1.5, [3.0], 0.5],
    "model": "maker/rm",
    "model_type": "Seq. Classifier",
}


def test_reward_bench_columns_are_pairs_of_rewardbench(tmp_path):
    items, settings, ballots = stored("reward-bench", write_json(tmp_path / "a.json", COLUMNS), tmp_path / "run")
    assert (settings["model"], settings["benchmark"]) == ("recorded:maker/rm", "rewardbench-scalar")
    assert {id: row[0].scores_N for id, row in ballots.items()} == {
        "hep-go/3": (2.5, 1.5),
        "hep-go/4": (1.0, 3.0),
        "donotanswer/3": (None, 0.5),
    }
    assert (items["hep-go/3"].best, items["hep-go/3"].extra["domain"]) == (0, "Reasoning")


def test_reward_bench_results_without_scores_are_decisions(tmp_path):
    columns = COLUMNS | {"results": [1, 0.5, 0], "scores_chosen": [None] * 3, "scores_rejected": [None] * 3}
    _, _, ballots = stored("reward-bench", write_json(tmp_path / "a.json", columns), tmp_path / "run")
    assert [row[0].scores_N for row in ballots.values()] == [(1, 0), (0, 0), (0, 1)]


def test_reward_bench_scores_alone(tmp_path):
    rows = [{"chosen": 0.5, "rejected": -1.0}, {"chosen": 0.25, "rejected": 2.0}]
    _, settings, ballots = stored("reward-bench", write_jsonl(tmp_path / "a_all.jsonl", rows), tmp_path / "run")
    assert {id: row[0].scores_N for id, row in ballots.items()} == {"0": (0.5, -1.0), "1": (0.25, 2.0)}
    assert "benchmark" not in settings


def test_reward_bench_2_scores_are_items_of_rewardbench2(tmp_path):
    columns = {"subset": ["Math", "ties"], "id": ["5", "ref:1"], "num_correct": [1, 2], "results": [1, 1],
               "scores": [[3.0, 1.0, 0.5, [2.0]], [5, 4, 1]], "text": [["", "", "", ""], ["", "", ""]]}  # fmt: skip
    items, settings, ballots = stored("reward-bench", write_json(tmp_path / "a.json", columns), tmp_path / "run")
    assert settings["benchmark"] == "rewardbench2"
    assert {id: row[0].scores_N for id, row in ballots.items()} == {
        "Math/5": (3.0, 1.0, 0.5, 2.0),
        "Ties/ref:1": (5, 4, 1),
    }
    assert items["Ties/ref:1"].rewards_N == (1.0, 1.0, 0.0)


def test_verifications_of_rows_and_of_arrays_are_the_same(tmp_path):
    """Two problems, three solutions, two verifications, one of them missing."""
    rows = [
        {
            "problem": "p",
            "solutions": ["a", "b", "c"],
            "correct": [1, 0, 1],
            "verifications": [[0.9, 0.8], [0.2, None], [1, 0]],
        },
        {"correct": [False, False, True], "verifications": [[True, False], [0, 0], [1, 1]]},
    ]
    items, settings, ballots = stored(
        "verifications", write_jsonl(tmp_path / "a.jsonl", rows), tmp_path / "rows", model="v"
    )
    assert settings["model"] == "recorded:v"
    assert [ballot.scores_N for ballot in ballots["0"]] == [(0.9, 0.2, 1), (0.8, None, 0)]
    assert [ballot.scores_N for ballot in ballots["1"]] == [(1, 0, 1), (0, 0, 1)]
    assert (items["0"].rewards_N, items["0"].responses) == ((1.0, 0.0, 1.0), ("a", "b", "c"))
    scores = np.array([[[0.9, 0.8], [0.2, np.nan], [1, 0]], [[1, 0], [0, 0], [1, 1]]])
    np.savez(tmp_path / "a.npz", verifications=scores, correct=np.array([[1, 0, 1], [0, 0, 1]]), ids=["p", "q"])
    items, _, arrays = stored("verifications", tmp_path / "a.npz", tmp_path / "arrays")
    assert list(arrays.values()) == list(ballots.values())
    assert items["q"].rewards_N == (0.0, 0.0, 1.0)


def test_arrays_go_by_other_names_and_need_no_truth(tmp_path):
    np.savez(tmp_path / "a.npz", votes=np.array([[[1, 1], [0, 1]]], dtype=bool))
    with pytest.raises(InputError, match=r"got votes \(1, 2, 2\); expected verifications"):
        import_recorded("verifications", tmp_path / "a.npz", tmp_path / "run")
    items, _, ballots = stored("verifications", tmp_path / "a.npz", tmp_path / "run", verifications="votes")
    assert [ballot.scores_N for ballot in ballots["0"]] == [(1, 0), (1, 1)]
    assert items["0"].truth is None


PAIR = {"idx": 0, "instruction": "i", "response1": "a", "response2": "b"}


@pytest.mark.parametrize(
    ("kind", "rows", "message"),
    [
        ("alpaca-eval", [annotation(2.5)], "got the preference 2.5; expected a number from 1 to 2"),
        ("alpaca-eval", [annotation("1")], "got the score '1'"),
        ("alpaca-eval", [{"instruction": "i", "annotator": "x"}], "expected output_1, output_2 too"),
        ("rewardmath", [{"problem": "p", "solution_reference": ["x"], "score": [1, 2]}], "lists of one length"),
        ("rewardmath", [{"problem": "p", "solution_reference": ["x"], "score": [1]}], "got 0 solutions by human_to_GPT-4"),
        ("rewardmath", [{"problem": "p", "solution_reference": ["x"], "score": ["C"], "chosen_position": ["A"]}],
         "got the score 'C'"),
        ("pandalm", [{"idx": 0, "a_result": 1}], "there is no such file; expected .* testset="),
        ("auto-j", [{"output": 0}], "expected data= with testdata_pairwise.jsonl"),
        ("reward-bench", [{"id": 1}], "got a row with id; expected one result file"),
        ("reward-bench", COLUMNS | {"id": [1]}, "column id has 1 values; expected 3"),
        ("verifications", [{"verifications": [1, 2]}], "a list with a list of scores for each solution"),
        ("verifications", [{"verifications": [[1], [0]], "correct": [1]}], "correct must be a list of 2"),
        ("verifications", [{"verifications": [["x"], [0]]}], "got the score 'x'"),
    ],
)  # fmt: skip
def test_what_is_not_of_the_kind_is_named_and_nothing_is_written(tmp_path, kind, rows, message):
    path = write_json(tmp_path / "a.json", rows)
    with pytest.raises(InputError, match=message):
        import_recorded(kind, path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_broken_pairs_and_decisions_are_named(tmp_path):
    judged = write_json(tmp_path / "judged.json", [{"idx": 1, "a_result": 1}])
    for pairs, message in [([PAIR | {"idx": 2}], "has no idx 1"), ([PAIR | {"idx": 1}], "expected annotator1")]:
        write_json(tmp_path / "testset-v1.json", pairs)
        with pytest.raises(InputError, match=message):
            import_recorded("pandalm", judged, tmp_path / "run")
    data = write_jsonl(tmp_path / "pairs.jsonl", [autoj_pair(0)])
    for rows, message in [([{"output": 0}] * 2, "got 2 decisions on 1 pairs"), ([{"output": 3}], "got the output '3'")]:
        with pytest.raises(InputError, match=message):
            import_recorded("auto-j", write_jsonl(tmp_path / "a.jsonl", rows), tmp_path / "run", data=str(data))
