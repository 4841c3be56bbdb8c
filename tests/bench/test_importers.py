import gzip
import json

import pytest

from bench.samples import metrics, replayed, write_json, write_jsonl
from spct.bench.importers import IMPORTERS, import_recorded
from spct.bench.suites import Ballot, load_benchmark
from spct.errors import InputError, RunError
from spct.run.store import RunStore
from spct.types import Usage

from .suites.test_judgebench import row as judgebench_row

K8, JUDGEBENCH, LLMBAR = load_benchmark("rewardbench2"), load_benchmark("judgebench"), load_benchmark("llmbar")


def k8_row(id="1", subset="Math", scores=((7, 8), (6, 6), (5, 5), (1, 1)), **extra):
    cost = {"full_input_tokens": 10, "full_output_tokens": 20}
    return {"id": id, "subset": subset, "k": 2, "full_scores": scores, "cost": cost, "refused": False} | extra


def test_a_recording_becomes_a_run_like_any_other(tmp_path):
    rows = [k8_row(), k8_row("2", refused=True), k8_row("3", scores=[[5, 5], [5, 5], [5, 5], [5, 5]])]
    import_recorded("rewardbench2-k8", write_jsonl(tmp_path / "a.jsonl", rows), tmp_path / "run")
    with pytest.raises(RunError, match="already holds a run; name another directory"):
        import_recorded("rewardbench2-k8", tmp_path / "a.jsonl", tmp_path / "run")
    store = RunStore.open(tmp_path / "run")
    settings = json.loads(store.meta("settings"))
    assert (settings["model"], settings["k"], settings["rule"]) == ("recorded:full", 2, "mean")
    assert settings["benchmark"] == "rewardbench2"
    assert [item.id for _, item in store.items()] == ["Math/1", "Math/3"]
    verdicts = [row for _, row in store.verdict_rows()]
    assert (verdicts[0]["best"], verdicts[0]["tied"], verdicts[0]["valid"]) == (0, [], 2)
    assert verdicts[1]["tied"] == [0, 1, 2, 3]
    assert store.usage(0) == Usage(10, 20, 0, 4)
    assert [j.order for j in store.history(0)] == [(0, 1, 2, 3)] * 2
    store.close()


def test_a_call_that_brought_no_score_is_kept_with_its_error(tmp_path):
    errors = [
        [None, None],
        ["empty_response (finish_reason=content_filter)", None],
        [None, "no_score_found"],
        [None] * 2,
    ]
    rows = [k8_row(scores=[[7, 8], [None, 6], [5, None], [1, 1]], full_errors=errors)]
    loaded, ballots = replayed("rewardbench2-k8", write_jsonl(tmp_path / "a.jsonl", rows), tmp_path / "run", K8)
    first, second = ballots["Math/1"]
    assert (first.scores_N, second.scores_N) == ((7, None, 5, 1), (8, 6, None, 1))
    assert K8.grade(loaded.units[0], loaded, ballots).grade == "correct"
    assert K8.grade(loaded.units[0], loaded, {"Math/1": [first]}).grade == "invalid"
    store = RunStore.open(tmp_path / "run")
    problems = [(j.index, j.order, j.problem.code, j.problem.detail) for j in store.history(0) if j.problem]
    store.close()
    assert problems == [
        (0, (1,), "empty", "empty_response (finish_reason=content_filter)"),
        (1, (2,), "no_box", "no_score_found"),
    ]


def test_a_shorter_list_of_scores_lacks_its_last_ones(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [k8_row(scores=[[7, 8], [6], [5, 5]])])
    _, ballots = replayed("rewardbench2-k8", path, tmp_path / "run", K8)
    assert [ballot.scores_N for ballot in ballots["Math/1"]] == [(7, 6, 5), (8, None, 5)]


def test_scores_attached_to_the_rows_of_another_recording(tmp_path):
    base = write_jsonl(tmp_path / "base.jsonl", [k8_row("1", "Math"), k8_row("1", "Focus"), k8_row("9", "Focus")])
    low, high = [[1, 1], [2, 2], [1, 1], [1, 1]], [[9, 9], [2, 2], [1, 1], [1, 1]]
    nano = [k8_row("1", "Math", nano_scores=low), k8_row("1", "Focus", nano_scores=high)]
    path = write_jsonl(tmp_path / "nano.jsonl", nano)
    loaded, ballots = replayed("rewardbench2-k8", path, tmp_path / "run", K8, judge="nano", joined_to=str(base))
    assert list(loaded.items) == ["Math/1", "Focus/1"]
    assert {ballot.scores_N for found in ballots.values() for ballot in found} == {(9, 2, 1, 1)}


def test_judgebench_decisions_and_scores(tmp_path):
    def decided(*decisions):
        return [d and {"judgment": {"judge_model": "m", "response": "because"}, "decision": d} for d in decisions]

    scored = [{"judgment": {"judge_model": "m", "scores": s}, "decision": "A>B"} for s in ([1.5, -2], [[-2], [1.5]])]
    rows = [
        judgebench_row("1") | {"judgments": decided("A>B", "B>A")},
        judgebench_row("2") | {"judgments": decided("A=B", None)},
        judgebench_row("3", "B>A") | {"judgments": scored},
    ]
    loaded, ballots = replayed("judgebench", write_jsonl(tmp_path / "a.jsonl", rows), tmp_path / "run", JUDGEBENCH)
    assert ballots == {
        "1": [Ballot((1, 0), (0, 1)), Ballot((1, 0), (1, 0))],
        "2": [Ballot((0, 0), (0, 1)), Ballot(None, (1, 0))],
        "3": [Ballot((1.5, -2), (0, 1)), Ballot((1.5, -2), (1, 0))],
    }
    grades = [JUDGEBENCH.grade(unit, loaded, ballots).grade for unit in loaded.units]
    assert grades == ["correct", "tied", "wrong"]


def test_llmbar_winners_and_ratings(tmp_path):
    def result(own, swapped, **ratings):
        return {"results": [{"swap = False": {"winner": own}, "swap = True": {"winner": swapped}, **ratings}]}

    pair = {"input": "do it", "output_1": "one", "output_2": "two", "label": 1}
    rows = [
        pair | result("1", None),
        pair | result("2", "1", score_1=["7", "stop"], score_2=["7", "stop"]),
        pair | result("1", "2", score_1=["good", "stop"], score_2=["7", "stop"]),
    ]
    path = tmp_path / "Natural" / "evaluators" / "GPT-4" / "Rating" / "result.json.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(json.dumps(rows).encode()))
    loaded, ballots = replayed("llmbar", path, tmp_path / "run", LLMBAR)
    assert ballots == {
        "Natural/0": [Ballot((1, 0), (0, 1)), Ballot(None, (1, 0))],
        "Natural/1": [Ballot((7, 7), (0, 1)), Ballot((7, 7), (1, 0))],
        "Natural/2": [Ballot((1, 0), (0, 1)), Ballot((0, 1), (1, 0))],
    }
    assert metrics(LLMBAR, loaded, ballots).partial["Natural"] == 0.5


def test_the_general_form(tmp_path):
    row = {"id": "a", "prompt": "q", "responses": ["x", "y", "z"], "best": 1, "subset": "Math"}
    judgments = [
        {"scores": [1, 9, 2], "order": [2, 0, 1], "text": "because"},
        {"scores": None, "error": "refused"},
        {"scores": [1, 8.5, None]},
    ]
    path = write_jsonl(tmp_path / "a.jsonl", [row | {"judgments": judgments}])
    import_recorded("jsonl", path, tmp_path / "run", model="mine", rule="sum", benchmark="rewardbench2")
    store = RunStore.open(tmp_path / "run")
    whole, refused, part, lost = store.history(0)
    settings = json.loads(store.meta("settings"))
    store.close()
    assert (settings["model"], settings["rule"], settings["benchmark"]) == ("recorded:mine", "sum", "rewardbench2")
    assert (whole.scores, whole.order, whole.text) == ((1, 9, 2), (2, 0, 1), "because")
    assert (refused.scores, refused.problem.detail) == (None, "refused")
    assert (part.scores, part.order, lost.order, lost.block) == ((1, 8.5), (0, 1), (2,), 3)


GENERAL = {"prompt": "q", "responses": ["x", "y"], "best": 0}


@pytest.mark.parametrize(
    ("kind", "row", "message"),
    [
        ("jsonl", GENERAL, "no list of judgments"),
        ("jsonl", GENERAL | {"judgments": [3]}, r"judgments\[0\]: got int"),
        ("jsonl", GENERAL | {"judgments": [{"score": [1, 2]}]}, r"judgments\[0\]: got score; expected scores, or null"),
        ("jsonl", GENERAL | {"judgments": [{"scores": [1]}]}, "expected 2, one per response"),
        ("jsonl", GENERAL | {"judgments": [{"scores": [1, "2"]}]}, "got the score '2'"),
        ("jsonl", GENERAL | {"judgments": [{"scores": [1, 2], "order": [0, 0]}]}, "got the order"),
        ("rewardbench2-k8", k8_row(scores=[[1], 1]), "a list of scores for each response"),
        ("rewardbench2-k8", k8_row(scores=[]), "a list of scores for each response"),
        ("rewardbench2-k8", k8_row(scores=[["7"], [1], [1], [1]]), "got the score '7'"),
        ("judgebench", judgebench_row("1") | {"judgments": []}, "one or two"),
        ("judgebench", judgebench_row("1") | {"judgments": [{"decision": "A"}]}, "got the decision 'A'"),
    ],
)
def test_a_broken_row_is_named_and_nothing_is_written(tmp_path, kind, row, message):
    with pytest.raises(InputError, match=rf"a\.jsonl, line 1.*{message}"):
        import_recorded(kind, write_jsonl(tmp_path / "a.jsonl", [row]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_options_and_kinds_are_checked(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [k8_row(mini_scores=[[1]] * 4)])
    with pytest.raises(InputError, match="expected one of rewardbench2-k8, judgebench, llmbar, jsonl, alpaca-eval"):
        import_recorded("else", path, tmp_path / "run")
    with pytest.raises(InputError, match="takes no k; it takes joined_to, judge"):
        import_recorded("rewardbench2-k8", path, tmp_path / "run", k="3")
    with pytest.raises(
        InputError, match="got scores of 2 judges and no judge= option; expected judge= with one of full, mini"
    ):
        import_recorded("rewardbench2-k8", path, tmp_path / "run")
    with pytest.raises(InputError, match="got judge=nano; expected judge= with one of full"):
        import_recorded("rewardbench2-k8", path, tmp_path / "run", judge="nano")
    for kind in IMPORTERS:
        with pytest.raises(InputError, match="there is no such file"):
            import_recorded(kind, tmp_path / "nowhere", tmp_path / "run")


def test_an_item_met_twice_is_refused(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [k8_row(), k8_row()])
    with pytest.raises(InputError, match="'Math/1' 2 times"):
        import_recorded("rewardbench2-k8", path, tmp_path / "run")


def test_one_of_several_evaluators_must_be_named(tmp_path):
    pair = {"input": "do it", "output_1": "one", "output_2": "two", "label": 1}
    for name in ("GPT-4/Vanilla", "ChatGPT/Vanilla"):
        rows = [pair | {"results": [{"swap = False": {"winner": "1"}, "swap = True": {"winner": "1"}}]}]
        write_json(tmp_path / "Manual" / "evaluators" / name / "result.json", rows)
    with pytest.raises(InputError, match="expected one of ChatGPT/Vanilla, GPT-4/Vanilla"):
        import_recorded("llmbar", tmp_path, tmp_path / "run")
    import_recorded("llmbar", tmp_path, tmp_path / "run", evaluator="GPT-4/Vanilla")
