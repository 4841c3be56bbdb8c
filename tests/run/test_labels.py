import multiprocessing
import sqlite3

import pytest

from spct.errors import InputError, RunError
from spct.items import item_to_row, parse_item
from spct.run import RunStore
from spct.run.labels import FILE, Label, add_label, labelled_items, labels_of
from spct.types import Item, Message

PAIR = Item("pair", (Message("user", "x"),), ("a", "b"), best=0, extra={"domain": "d"})
GROUP = Item("group", (Message("user", "x"),), ("a", "b", "c"))
LONE = Item("lone", (Message("user", "x"),), ("a",))


@pytest.fixture
def run(tmp_path):
    write_run(tmp_path, [PAIR, GROUP, LONE])
    return tmp_path


def write_run(directory, items):
    store = RunStore.create(directory, {"settings": "{}"})
    for position, item in enumerate(items):
        store.add_item(position, item)
    store.close()


def said(run, position, item, name, entry, note=None):
    add_label(run, item, Label(1.5, name, position, entry, note))


def test_the_last_label_of_a_person_counts_and_all_are_kept(run):
    said(run, 0, PAIR, "ann", {"label": 1})
    said(run, 0, PAIR, "bob", {"label": "tie"}, "hard")
    said(run, 0, PAIR, "ann", {"label": 0})
    said(run, 1, GROUP, "ann", None)
    found = labels_of(run)
    assert found[0] == {
        "ann": Label(1.5, "ann", 0, {"label": 0}),
        "bob": Label(1.5, "bob", 0, {"label": "tie"}, "hard"),
    }
    assert labels_of(run, 1) == {1: {"ann": Label(1.5, "ann", 1, None)}}
    with sqlite3.connect(run / FILE) as db:
        assert db.execute("SELECT count(*) FROM labels").fetchone() == (4,)


def test_labelled_items_are_rows_with_truth_that_can_be_read_back(run):
    said(run, 0, PAIR, "ann", {"label": 1}, "clear")
    said(run, 0, PAIR, "bob", {"label": 0})
    said(run, 1, GROUP, "ann", {"ranking": [2, [0, 1]]})
    said(run, 2, LONE, "ann", {"grade": 7.5})
    said(run, 2, LONE, "bob", None)
    rows = [item_to_row(item) for item in labelled_items(run)]
    assert [{key: row[key] for key in row if key not in ("messages", "responses")} for row in rows] == [
        {"id": "pair", "domain": "d", "labels": [{"label": 1}, {"label": 0}], "labelled_by": ["ann", "bob"],
         "notes": {"ann": "clear"}},
        {"id": "group", "ranking": [[2], [0, 1]], "labelled_by": ["ann"]},
        {"id": "lone", "grade": 7.5, "grade_scale": [1, 10], "labelled_by": ["ann"]},
    ]  # fmt: skip
    assert [item_to_row(parse_item(row, where="row")) for row in rows] == rows


def test_people_who_were_asked_differently_are_taken_at_their_choice(run):
    said(run, 1, GROUP, "ann", {"ranking": [2, 1, 0]})
    said(run, 1, GROUP, "bob", {"best": 1})
    said(run, 1, GROUP, "cem", {"rewards": [3, 9, 9]})  # names no one
    said(run, 0, PAIR, "ann", {"rewards": [5, 5]})
    said(run, 0, PAIR, "bob", {"label": 1})
    pair, group = [item_to_row(item) for item in labelled_items(run)]
    assert (pair["labels"], group["labels"]) == ([{"label": "tie"}, {"label": 1}], [{"best": 2}, {"best": 1}])


@pytest.mark.parametrize(
    ("item", "entry", "message"),
    [
        (PAIR, {"label": 2}, "label of item 'pair': label: got int 2; expected the index of the better response"),
        (GROUP, {"best": 3}, "best: got int 3; expected the index of a response"),
        (GROUP, {"ranking": [0, 1]}, "ranking: got"),
        (LONE, {"grade": 11}, "grade: got 11; expected a grade on grade_scale, from 1 to 10"),
    ],
)
def test_a_label_that_is_none_of_the_item_is_refused(run, item, entry, message):
    with pytest.raises(InputError) as error:
        said(run, 0, item, "ann", entry)
    assert message in str(error.value)
    assert labels_of(run) == {}


def test_a_label_needs_a_name(run):
    with pytest.raises(InputError, match="needs the name of who gives it"):
        said(run, 0, PAIR, " ", {"label": 1})


def test_labels_on_other_items_in_the_same_place_do_not_count(run):
    said(run, 0, PAIR, "ann", {"label": 1})
    said(run, 1, GROUP, "ann", {"best": 1})
    (run / "run.sqlite").unlink()
    write_run(run, [LONE, GROUP])
    assert set(labels_of(run)) == {1}


def test_a_link_in_place_of_the_labels_is_not_followed(run, tmp_path_factory):
    victim = tmp_path_factory.mktemp("other") / "victim"
    victim.write_bytes(b"")
    (run / FILE).symlink_to(victim)
    with pytest.raises(RunError, match="is a link"):
        said(run, 0, PAIR, "ann", {"label": 1})
    assert victim.read_bytes() == b""


def _label_all(run, name):
    for _ in range(40):
        said(run, 0, PAIR, name, {"label": 1})


def test_two_labellers_at_once_lose_nothing(run):
    workers = [
        multiprocessing.get_context("spawn").Process(target=_label_all, args=(run, name)) for name in ("ann", "bob")
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with sqlite3.connect(run / FILE) as db:
        assert db.execute("SELECT name, count(*) FROM labels GROUP BY name").fetchall() == [("ann", 40), ("bob", 40)]
