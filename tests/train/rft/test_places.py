"""Where the best response stood in what was sampled and in what was kept: counted, said, and a favoured place warned of."""

import json

import pytest
from click.testing import CliRunner

from spct.cli import spct
from spct.train.rft.places import Places, place_lines, shown_place
from spct.train.rft.rejection import select
from spct.types import Item, Judgment, Message
from train import small


def item(n, best=0):
    return Item("i", (Message("user", "?"),), tuple(f"r{i}" for i in range(n)), best=best)


def judgment(order, scores, index=0):
    """``scores`` in item order."""
    return Judgment(index, tuple(order), index, "text", "stop", tuple(scores), None)


@pytest.mark.parametrize(
    ("given", "order", "place"),
    [
        (item(2, best=1), (1, 0), "first"),
        (item(2, best=1), (0, 1), "last"),
        (item(3, best=1), (0, 1, 2), "between"),
        (item(3, best=2), (0, 1), None),  # a part of the responses, without the best one
        (item(1, best=0), (0,), None),
        (item(2, best=None), (0, 1), None),
    ],
)
def test_the_place_of_the_best_response(given, order, place):
    assert shown_place(given, order) == place


def test_a_judge_that_scores_by_place_is_kept_where_the_best_stands_last():
    places = Places()
    for _ in range(20):
        last = [judgment((0, 1), [1, 2], 0), judgment((1, 0), [2, 1], 1), judgment((0, 1), [1, 2], 2)]
        places.add(item(2, best=0), select(item(2, best=0), last, [judgment((1, 0), [2, 1])], 3))
    assert places.as_row() == {
        "sampled": {"first": 40, "between": 0, "last": 40},
        "kept": {"first": 0, "between": 0, "last": 40},
    }
    said, warning = place_lines(places.as_row())
    assert said == (
        "Best response shown first in 50% of the judgments sampled and 0% of those kept, last in 50% and 100%."
    )
    assert warning.startswith("Warning: the model that was sampled favours what is shown last;")


def test_no_warning_where_the_difference_may_be_chance():
    sampled = {"first": 300, "between": 0, "last": 300}
    assert len(list(place_lines({"sampled": sampled, "kept": {"first": 40, "between": 0, "last": 60}}))) == 1  # 2.0
    assert len(list(place_lines({"sampled": sampled, "kept": {"first": 29, "between": 0, "last": 71}}))) == 2  # 4.2
    assert len(list(place_lines({"sampled": sampled, "kept": {"first": 71, "between": 0, "last": 29}}))) == 2


def test_nothing_is_said_where_no_judgment_has_two_responses():
    assert list(place_lines(Places().as_row())) == []


def test_the_report_of_rft_data_warns_of_a_judge_of_places(tmp_path):
    (tmp_path / "engine.py").write_text(
        "from spct.engines.scripted import judgment_text\n\ndef judge(request, j):\n    return judgment_text([1, 2])\n"
    )
    small.jsonl(tmp_path / "items.jsonl", [{"prompt": f"q{i}", "chosen": "a", "rejected": "b"} for i in range(24)])
    command = [
        "train",
        "rft-data",
        str(tmp_path / "items.jsonl"),
        "--model",
        f"scripted:{tmp_path / 'engine.py'}:judge",
    ]
    done = CliRunner().invoke(spct, [*command, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "out" / "report.json").read_text())["places"]
    assert sum(found["sampled"].values()) == 24 * 4
    assert (found["kept"]["first"], found["kept"]["last"]) == (0, found["sampled"]["last"])
    assert (
        "Warning: the model that was sampled favours what is shown last" in (tmp_path / "out" / "report.md").read_text()
    )
