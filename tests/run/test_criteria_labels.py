import orjson
import pytest

from spct.errors import InputError
from spct.items import item_to_row, read_items
from spct.rubrics import Rubric
from spct.run import RunStore
from spct.run.criteria_labels import asked_of, by_criterion, entry_by_criterion, rubric_of_questions
from spct.run.labels import Label, add_label, labelled_items, labels_of
from spct.types import Item, Message

ROW = {
    "name": "reply",
    "criteria": [
        {"id": "correct", "kind": "scale", "weight": 3, "ask": "Right?", "scale": [1, 5], "gate": 3},
        {"id": "jargon", "kind": "yes-no", "weight": -1, "ask": "Odd words?"},
        {"id": "tone", "kind": "choice", "weight": 1, "ask": "How?", "choices": {"cold": 0, "warm": 1, "mild": 0.5}},
        {"id": "short", "kind": "check", "weight": 1, "check": {"max_words": 3}},
    ],
}
RUBRIC = asked_of(Rubric.of_row(ROW))
PAIR = Item("pair", (Message("user", "x"),), ("a", "b"))
LONE = Item("lone", (Message("user", "x"),), ("a",))


def test_checks_are_not_asked_and_a_rubric_of_nothing_else_is_refused():
    assert [criterion.id for criterion in RUBRIC.criteria] == ["correct", "jargon", "tone"]
    with pytest.raises(InputError, match="rubric reply: no criterion that a person could answer counts for anything"):
        asked_of(Rubric.of_row({**ROW, "criteria": ROW["criteria"][3:]}))


def test_answers_are_added_up_as_the_rubric_does():
    said = {"correct": [1, 1, 0], "jargon": [0, 1, 0], "tone": [1, 0, 1]}
    assert entry_by_criterion(RUBRIC, said, 3) == {
        "rewards": [1.0, 0.6, 0.0],
        "criteria": said,
    }  # the gate fails the last


@pytest.mark.parametrize(
    ("extra", "correct", "jargon", "label"),
    [({}, 1, 0, 1), ({}, 1, 1, 1), ({}, 0, 0, 0), ({"pass": 0.9}, 1, 1, 0), ({"pass": 0.8}, 1, 1, 1)],
)
def test_a_lone_response_passes_as_the_rubric_says(extra, correct, jargon, label):
    rubric = asked_of(Rubric.of_row({**ROW, **extra}))
    assert entry_by_criterion(rubric, {"correct": [correct], "jargon": [jargon], "tone": [1]}, 1)["label"] == label


def test_questions_of_ones_own_count_a_point_each():
    rubric = rubric_of_questions(["kind: Is it kind?", "short"])
    assert [(c.id, c.ask, c.weight) for c in rubric.criteria] == [("kind", "Is it kind?", 1), ("short", "short", 1)]
    assert entry_by_criterion(rubric, {"kind": [1, 1], "short": [1, 0]}, 2)["rewards"] == [1.0, 0.5]
    assert [entry_by_criterion(rubric, {"kind": [1], "short": [x]}, 1)["label"] for x in (0, 1)] == [0, 1]


@pytest.mark.parametrize("given", [["Is it kind?"], ["a", "a: again?"], [""], ["1a"]])
def test_criteria_without_a_name_or_with_one_twice_are_refused(given):
    with pytest.raises(InputError, match="--criterion: got"):
        rubric_of_questions(given)


def test_answers_in_words():
    assert by_criterion({"kind": [1, 0], "short": [0, 0]}) == "kind: A pass, B fail; short: A fail, B fail"


@pytest.fixture
def run(tmp_path):
    store = RunStore.create(tmp_path, {"settings": "{}"})
    store.add_item(0, PAIR)
    store.add_item(1, LONE)
    store.close()
    return tmp_path


def said(run, item, name, entry):
    add_label(run, item, Label(1.0, name, 0 if item is PAIR else 1, entry))


def test_labels_by_criterion_are_items_with_truth(run):
    rubric = rubric_of_questions(["kind", "short"])
    for name, kind in (("ann", [1, 0]), ("bob", [1, 1])):
        said(run, PAIR, name, entry_by_criterion(rubric, {"kind": kind, "short": [1, 0]}, 2))
    said(run, LONE, "ann", entry_by_criterion(rubric, {"kind": [1], "short": [0]}, 1))
    said(run, LONE, "bob", {"label": 0})
    pair, lone = labelled_items(run)
    assert (pair.truth.kind, pair.truth.values_N, pair.best) == ("rewards", (1.0, 0.25), 0)
    assert pair.extra["labelled_criteria"]["bob"] == {"kind": [1, 1], "short": [1, 0]}
    assert (lone.truth.kind, lone.truth.values_N, len(lone.truth.people)) == ("label", (0.0,), 2)
    file = run / "labelled.jsonl"
    file.write_bytes(b"\n".join(orjson.dumps(item_to_row(item)) for item in (pair, lone)))
    assert list(read_items(file)) == [pair, lone]


@pytest.mark.parametrize("other", [{"rewards": [9, 3]}, {"rewards": [0.2, 0.1], "criteria": {"new": [1, 0]}}])
def test_answers_to_other_questions_are_not_averaged(run, other):
    said(run, PAIR, "ann", entry_by_criterion(rubric_of_questions(["kind"]), {"kind": [0, 1]}, 2))
    said(run, PAIR, "bob", other)
    (pair,) = labelled_items(run)
    assert item_to_row(pair)["labels"] == [{"label": 1}, {"label": 0}]


@pytest.mark.parametrize("criteria", [{"kind": [1]}, {"kind": [1, 2]}, {"kind": 1}, ["kind"]])
def test_answers_that_are_none_of_the_item_are_refused(run, criteria):
    with pytest.raises(InputError, match="expected 2 answers, 0 or 1, to each criterion"):
        said(run, PAIR, "ann", {"rewards": [1, 0], "criteria": criteria})
    assert labels_of(run) == {}
