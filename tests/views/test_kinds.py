import pytest

from spct.errors import InputError
from spct.views.kinds import KINDS, OUTCOMES, check_kinds_known, flipped_by_order, is_asked_for, kinds_of

ROW = {"best": 0, "tied": [], "invalid": 0, "confidence": 0.95}
SHOWN = [((0, 1), (5, 3)), ((1, 0), (5, 3))]


def kinds(changes=None, grade="correct", shown=SHOWN, finished=True):
    return kinds_of({**ROW, **(changes or {})}, grade, shown, 2, finished=finished)


def test_what_is_said_of_an_item():
    assert kinds() == ("correct",)
    assert kinds(grade="wrong") == ("wrong", "sure-wrong")
    assert kinds({"confidence": 0.89}, grade="wrong") == ("wrong",)
    assert kinds({"confidence": 0.59, "tied": [0, 1], "invalid": 1}, grade=None) == ("tied", "invalid", "unsure")
    assert kinds({"best": None, "confidence": None}, grade="invalid") == ("none",)
    assert kinds({"best": None, "confidence": None}, grade=None, finished=False) == ("unfinished",)


@pytest.mark.parametrize(
    ("shown", "flipped"),
    [
        ([((0, 1), (5, 3)), ((1, 0), (3, 5))], True),
        ([((0, 1), (5, 3)), ((1, 0), (4, 4))], False),  # a tie names nobody
        ([((0, 1), (5, 3)), ((0, 1), (1, 9))], False),  # one order: its vote is the sum
        ([((0, 1), (5, 3)), ((1, 0), None)], False),
        ([((0,), (5,)), ((1,), (9,))], False),  # parts of a judgment
        ([], False),
    ],
)
def test_flipped_by_order(shown, flipped):
    assert flipped_by_order(shown, 2) is flipped


def test_outcomes_add_up_and_the_rest_narrows():
    item = {"wrong", "invalid"}
    assert is_asked_for(item, [])
    assert is_asked_for(item, ["wrong", "tied"])
    assert is_asked_for(item, ["wrong", "tied", "invalid"])
    assert not is_asked_for(item, ["tied"])
    assert not is_asked_for(item, ["wrong", "unsure"])
    assert set(OUTCOMES) < set(KINDS)


def test_an_unknown_kind_is_named():
    with pytest.raises(InputError, match="got 'worng'; expected some of correct, wrong, tied"):
        check_kinds_known(["wrong", "worng"])
