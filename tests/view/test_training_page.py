import json
import shutil

import pytest

from spct.errors import RunError
from spct.run.lock import DirectoryLock
from spct.view.bench_page import bench_page, is_report
from spct.view.library import Library, folders_below
from spct.view.pipeline_page import pipeline
from spct.view.rollouts_page import rollouts_of, steps_kept
from spct.view.training_page import training, training_page


def test_stages_are_found_by_their_place(runs):
    found = folders_below([runs])
    assert list(found["training"]) == ["all~rl-0000000b", "train~rl", "train~sft", "train~torn"]
    assert (found["pipeline"], found["bench"]) == ({"all": runs / "all"}, {"bench": runs / "bench"})
    assert list(folders_below([runs / "train" / "rl"])["training"]) == ["rl"]


def test_a_finished_stage_has_the_curves_of_its_report(runs):
    found = training_page("rl", runs / "train" / "rl")
    assert (found.training.stage, found.training.finished, found.training.steps) == ("rl", True, 3)
    assert [(plot.title, plot.x, plot.series[0]["values"]) for plot in found.plots] == [
        ("reward", [1.0, 2.0, 3.0], [0.1, 0.2, 0.3]),
        ("accuracy", [1.0, 2.0, 3.0], [0.5, 0.5, 0.5]),
        ("eval_accuracy", [0.0, 3.0], [0.0, 0.75]),
    ]
    assert found.facts == [("steps", "3"), ("learning_rate", "1e-06")]
    assert found.results == [("steps", "3"), ("best_accuracy", "0.75")]


def test_a_stopped_stage_has_those_of_its_newest_checkpoint(runs):
    found = training_page("sft", runs / "train" / "sft")
    assert (found.training.finished, found.training.steps) == (False, 2)
    assert [(plot.title, plot.series[0]["values"]) for plot in found.plots] == [("loss", [2.0, 1.5])]


def test_a_curve_says_of_how_many_steps_it_is(tmp_path):
    (tmp_path / "stage.json").write_text('{"stage": "sft"}')
    logged = [{"step": step, "loss": 1.0} for step in range(1, 5002)]
    (tmp_path / "report.json").write_text(json.dumps({"history": logged}))
    (plot,) = training_page("x", tmp_path).plots
    assert (len(plot.x), plot.x[:3], plot.note) == (1667, [1.0, 4.0, 7.0], "One step in 3 is drawn, of 5,001.")


def test_the_rollouts_of_a_step_say_why_they_are_rewarded(runs):
    folder = runs / "all" / "rl-0000000b"
    assert steps_kept(folder) == [1, 3]
    (group,) = rollouts_of(folder, 3)
    assert (group.item, group.best, group.places, group.mean) == ("prime", 0, [(1,), (0,)], 0.0)
    assert [(one.reward, one.why, dict(one.scores)) for one in group.rollouts] == [
        (1.0, "A, the best, alone has the highest score", {0: 9.0, 1: 2.0}),
        (-1.0, "no scores could be read: no_box: no box", {}),
    ]
    assert "Response 2<b> = A</b>" in group.rollouts[0].text.html
    with pytest.raises(RunError, match="no rollouts of step 2 are kept here"):
        rollouts_of(folder, 2)


@pytest.mark.parametrize(
    ("grade", "shown", "best", "why"),
    [
        ("tied", [5, 5], 0, "A is the best, and A, B share the highest score"),
        ("wrong", [9, 5], 0, "A is the best, and B has the highest score"),
        ("correct", [1], None, "the score is the label"),
        ("wrong", [0], None, "the score is not the label"),
    ],
)
def test_rewards_in_words(tmp_path, grade, shown, best, why):
    row = {"text": "x", "finish": "stop", "reward": -1.0, "grade": grade, "shown": shown, "problem": None}
    (tmp_path / "rollouts").mkdir()
    order = [1, 0][-len(shown) :]
    (tmp_path / "rollouts" / "step-000007.jsonl").write_text(
        json.dumps({"item": "q", "order": order, "best": best, "prompt": [], "rollouts": [row]})
    )
    assert rollouts_of(tmp_path, 7)[0].rollouts[0].why == why


def test_a_pipeline_lists_its_jobs_in_the_order_of_their_stages(runs, tmp_path):
    library = Library([runs], tmp_path)
    found = pipeline("all", runs / "all", library)
    assert [(job.name, job.state, job.seconds, job.figures, job.address) for job in found.jobs] == [
        ("data", "done", 63.4, [("items", "7")], ""),
        ("rl", "stopped", None, [], "/training/all~rl-0000000b"),
        ("bench-items-base", "not begun", None, [], ""),
    ]
    assert (found.done, found.seconds, {job.branches for job in found.jobs}) == (1, 63.4, {"main"})
    lock = DirectoryLock(runs / "all")
    assert [job.state for job in pipeline("all", runs / "all", library).jobs] == ["done", "at work", "not begun"]
    lock.close()


def test_a_job_of_a_pipeline_leads_to_what_it_made(runs, tmp_path):
    for job, made in {"rft-0000000d": runs / "small", "bench-items-base-0000000e": runs / "bench"}.items():
        (tmp_path / "all" / f"{job}.yaml").parent.mkdir(exist_ok=True)
        (tmp_path / "all" / f"{job}.yaml").write_text("")
        shutil.copytree(made, tmp_path / "all" / job / ("plain" if job.startswith("rft") else ""))
    (tmp_path / "all" / "rft-0000000d" / "report.json").write_text(
        '{"trajectories": 3, "rejection": true, "sources": []}'
    )
    found = pipeline("all", tmp_path / "all", Library([tmp_path], tmp_path / "cache"))
    assert [(job.figures, job.address) for job in found.jobs] == [
        ([("trajectories", "3")], "/run/all~rft-0000000d~plain/"),
        ([("accuracy (%), k = 6", "50.0 [20.2, 79.8]")], "/bench/all~bench-items-base-0000000e"),
    ]


def test_a_report_of_bench_has_its_curves_and_tables(runs):
    found = bench_page("bench", runs / "bench")
    assert [plot.x for plot in found.plots] == [[1.0, 6.0]] * 2  # a user's own items have the rule 1/#tied
    assert [line["name"] for line in found.plots[0].series] == [found.curve[1][0]]
    assert [(row[1], row[5:8]) for row in found.curve[1:]][1] == ("6", ["42.9", "28.6", "14.3"])
    assert found.card.judges[0][2].startswith("50.0 [")


def test_a_file_of_the_same_name_by_others_is_no_report(runs, tmp_path):
    (tmp_path / "results.json").write_text('{"results": [], "note": "' + "x" * 50 + '", "format": 1}')
    assert [is_report(folder) for folder in (runs / "bench", tmp_path, runs)] == [True, False, False]


@pytest.mark.parametrize("content", ['{"runs": []}', '{"format": 1}', '{"runs": [{"points": [{}]}]}', "[]"])
def test_what_is_no_report_of_bench_is_an_error(tmp_path, content):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(RunError, match=r"results.json (is no report of spct bench|cannot be read)"):
        bench_page("x", tmp_path)


def test_what_cannot_be_read_is_an_error_that_names_it(runs):
    with pytest.raises(RunError, match=r"torn/stage.json cannot be read"):
        training("torn", runs / "train" / "torn")
    with pytest.raises(RunError, match=r"train has no stage.json \(any more\)"):
        training("train", runs / "train")
