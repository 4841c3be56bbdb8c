"""What a rubric's author is told of a rubric that can be used all the same."""

import pytest

from cli.test_rubric import run
from rubrics.samples import of, rubric
from spct.rubrics import Rubric
from spct.rubrics.lint import lint
from spct.rubrics.rubric import shipped_names

GOOD = {"id": "good", "ask": "Does it do what was asked?", "gate": True}


@pytest.mark.parametrize("row, said", [
    ({"id": "a", "ask": "It is short."}, "a: 'It is short.' does not end as a question"),
    ({"id": "a", "ask": "Is it short and plain and kind?"}, "a: asks several things at once"),
    ({"id": "a", "ask": "How far?", "kind": "scale", "scale": [1, 5]}, "a: says in no words what 1 and 5 mean"),
    ({"id": "a", "ask": "How far?", "kind": "scale", "scale": [0, 100], "anchors": {"0": "no", "100": "yes"}},
     "a: has 101 points; judges use few of so many"),
    ({"id": "a", "ask": "Is it plain?", "weight": 9}, "a: has 90% of all points, so it decides nearly alone"),
    ({"id": "a", "ask": "Is it plain?", "weight": 0}, "a: its weight is 0 and it has no gate"),
    ({"id": "a", "ask": "Does it do what was asked for?"}, "good, a: ask nearly the same, so it counts twice"),
])  # fmt: skip
def test_each_remark(row, said):
    assert [remark for remark in lint(of(GOOD, row)) if remark.startswith(said)], lint(of(GOOD, row))
    assert len(lint(of(GOOD, row))) <= 2


def test_a_rubric_that_lets_everything_pass_is_remarked_on():
    assert lint(of({"id": "a", "ask": "Is it plain?"}, {"id": "b", "ask": "Was the order kept?"})) == [
        "nothing says what passes: add pass or a gate if anybody is to act on it"
    ]


def test_the_example_and_the_shipped_rubrics_give_no_cause(tmp_path):
    assert lint(rubric(tmp_path)) == []
    assert {name: lint(Rubric.load(name)) for name in shipped_names()} == {name: [] for name in shipped_names()}


def test_the_command_says_it_and_exits_by_it(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("name: a\npass: 0.5\ncriteria:\n  - {id: a, kind: yes-no, ask: It is short}\n")
    assert run("rubric", "lint", "summary") == "summary: 6 criteria to judge, 0 checks\n"
    assert "'It is short' does not end as a question" in run("rubric", "lint", path, code=1)
