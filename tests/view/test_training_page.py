import json

import pytest

from spct.errors import RunError
from spct.view.training_page import training, training_page, trainings_below


def test_stages_are_found_by_their_place(runs):
    assert list(trainings_below([runs])) == ["train~rl", "train~sft", "train~torn"]
    assert list(trainings_below([runs / "train" / "rl"])) == ["rl"]


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


def test_what_cannot_be_read_is_an_error_that_names_it(runs):
    with pytest.raises(RunError, match=r"torn/stage.json cannot be read"):
        training("torn", runs / "train" / "torn")
    with pytest.raises(RunError, match="is no folder of a training stage"):
        training("train", runs / "train")


def test_a_long_curve_is_thinned_and_says_so(tmp_path):
    (tmp_path / "stage.json").write_text('{"stage": "rl"}')
    rows = [{"step": step, "reward": step / 10, **({"loss": 1.0} if step % 2 else {})} for step in range(4001)]
    (tmp_path / "report.json").write_text(json.dumps({"history": rows}))
    found = training_page("long", tmp_path)
    assert found.every == 3 and [len(plot.x) for plot in found.plots] == [1334, 2000]
    assert training_page("long", tmp_path).plots[0].x[1] == 3.0
