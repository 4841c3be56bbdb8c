import pytest

from spct.errors import InputError
from spct.items import item_to_row, parse_item
from spct.types import Truth


def truth(n: int, **said: object) -> Truth | None:
    return parse_item({"prompt": "q", "responses": list("abcdef"[:n]), **said}, where="row").truth


FORMS = [
    (3, {"best": 1}, Truth("best", (0.0, 1.0, 0.0)), 1, None),
    (3, {"rewards": [1, 0, 1]}, Truth("rewards", (1.0, 0.0, 1.0)), None, (1.0, 0.0, 1.0)),
    (2, {"rewards": [0.5, 2]}, Truth("rewards", (0.5, 2.0)), 1, (0.5, 2.0)),
    (2, {"label": 0}, Truth("pair", (1.0, 0.0)), 0, None),
    (2, {"label": 1.0}, Truth("pair", (0.0, 1.0)), 1, None),
    (2, {"label": "tie"}, Truth("pair", (0.5, 0.5)), None, None),
    (1, {"label": True}, Truth("label", (1.0,)), None, (1.0,)),
    (1, {"rewards": [0]}, Truth("label", (0.0,)), None, (0.0,)),
    (1, {"rewards": [3]}, Truth("grade", (3.0,)), None, (3.0,)),
    (1, {"grade": 1}, Truth("grade", (1.0,)), None, (1.0,)),
    (1, {"grade": 4, "grade_scale": [1, 5]}, Truth("grade", (4.0,), (1.0, 5.0)), None, (4.0,)),
    (4, {"ranking": [2, [0, 3], 1]}, Truth("ranking", (1.5, 0.0, 3.0, 1.5)), 2, None),
    (3, {"ranking": [[0, 1], 2]}, Truth("ranking", (1.5, 1.5, 0.0)), None, None),
]


@pytest.mark.parametrize(("n", "said", "expected", "best", "rewards"), FORMS)
def test_each_form_is_read_and_written_back(n, said, expected, best, rewards):
    item = parse_item({"prompt": "q", "responses": list("abcdef"[:n]), **said}, where="row")
    assert (item.truth, item.best, item.rewards_N) == (expected, best, rewards)
    assert item.extra == {}
    assert parse_item(item_to_row(item), where="again") == item


PEOPLE = [
    (2, [0, 0, 1], "pair", (1.0, 0.0)),
    (2, [0, "tie", "tie"], "pair", (0.5, 0.5)),
    (2, [0, 1], "pair", ()),
    (2, [1, None], "pair", (0.0, 1.0)),
    (3, [2, 2, 0, 1], "best", (0.0, 0.0, 1.0)),
    (3, [{"best": 2}, {"best": 0}], "best", ()),
    (1, [0, 1, 1], "label", (1.0,)),
    (1, [True, False], "label", ()),
    (1, [0, 1, 5], "grade", (2.0,)),
    (2, [{"rewards": [0, 4]}, {"rewards": [1, 1]}], "rewards", (0.5, 2.5)),
    (3, [{"ranking": [0, 1, 2]}, {"ranking": [1, 0, 2]}], "ranking", (1.5, 1.5, 0.0)),
]


@pytest.mark.parametrize(("n", "labels", "kind", "together"), PEOPLE)
def test_several_people_come_to_their_majority_or_their_mean(n, labels, kind, together):
    item = parse_item({"prompt": "q", "responses": list("abc"[:n]), "labels": labels}, where="row")
    assert item.truth is not None
    assert (item.truth.kind, item.truth.values_N) == (kind, together)
    assert len(item.truth.people) == sum(label is not None for label in labels)
    assert parse_item(item_to_row(item), where="again") == item


def test_a_scale_makes_grades_of_zeros_and_ones():
    found = truth(1, labels=[0, 1], grade_scale=[0, 4])
    assert found is not None
    assert (found.kind, found.values_N, found.scale) == ("grade", (0.5,), (0.0, 4.0))


BAD = [
    (3, {"label": 1}, "label: got a label of 3 responses"),
    (2, {"label": 2}, 'label: got int 2; expected the index of the better response, 0 or 1, or "tie"'),
    (1, {"label": 3}, "a grade on another scale goes under grade"),
    (2, {"grade": 3}, "grade: got a grade of 2 responses; expected a grade of one response; use rewards"),
    (1, {"grade": 6, "grade_scale": [1, 5]}, "grade: got 6; expected a grade on grade_scale, from 1 to 5"),
    (1, {"grade": "good"}, "grade: got text 'good'; expected a finite number"),
    (1, {"grade": 3, "grade_scale": [5, 1]}, "grade_scale: got [5, 1]"),
    (1, {"label": 1, "grade_scale": [0, 1]}, "grade_scale: got a scale without a grade"),
    (3, {"ranking": [0, 1]}, "expected each index from 0 to 2 once"),
    (3, {"ranking": [0, 1, 1]}, "expected each index from 0 to 2 once"),
    (1, {"ranking": [0]}, "the indices of two or more responses"),
    (2, {"ranking": [0, 1], "best": 0}, "got a row with ranking and best; expected the ground truth in one way"),
    (2, {"labels": []}, "labels: got a list; expected a list with one entry for each person"),
    (2, {"labels": [None]}, "labels: got a list; expected a list with one entry for each person"),
    (2, {"labels": [0, {"rewards": [1, 2]}]}, "entries of the kinds pair and rewards; expected one kind"),
    (2, {"labels": [{"liked": 1}]}, "labels[0]: got an object with liked; expected one of best, rewards"),
    (3, {"labels": [7]}, "labels[0]: best: got int 7; expected the index of a response"),
]


@pytest.mark.parametrize(("n", "said", "message"), BAD)
def test_what_cannot_be_read_is_an_error(n, said, message):
    with pytest.raises(InputError) as caught:
        truth(n, **said)
    assert message in str(caught.value)
