"""Judgments of the laboratory step by step, against texts worked by hand."""

from itertools import islice
from random import Random

import pytest
from benchmarks.spct_lab import crowd, world
from benchmarks.spct_lab.steps import Steps, read_judgment, steps_of

QUERY = world.read_query("must begin fish , may lack stone")
SHOWN = (("eel", "rice", "salt"), ("rice", "chalk", "mint"))
EXACT = (
    "principles begin fish 4 , lack stone 1 critique #1 fish dish spice ; begin fish yes 4 lack stone no 1 = 5 "
    "#2 dish stone spice ; begin fish no 0 lack stone yes 0 = 0 scores \\boxed{ 5 , 0 }"
)


def steps(text, box=(5, 0)):
    return steps_of(read_judgment(text, 2), QUERY, SHOWN, box)


def test_an_exact_judgment_is_right_in_every_step():
    assert steps(EXACT) == Steps(1, 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("old", "new", "box", "expected"),
    [
        ("lack stone 1 critique", "lack stone 2 critique", (5, 0), Steps(0.5, 1, 0.75, 1, 1)),  # one of two weights
        (
            "begin fish no 0",
            "begin fish yes 4",
            (5, 0),
            Steps(1, 0.75, 1, 0.5, 1),
        ),  # misread, and the sum left as it was
        ("yes 4 lack", "yes 2 lack", (5, 0), Steps(1, 1, 0.75, 0.5, 1)),  # points that the weight does not give
        ("= 5", "= 4", (5, 0), Steps(1, 1, 1, 0.5, 0.5)),  # added up wrongly
        ("= 5", "= 5", (4, 0), Steps(1, 1, 1, 1, 0.5)),  # copied wrongly
        ("= 5", "= 5", None, Steps(1, 1, 1, 1, 0)),  # no box
    ],
)
def test_each_step_is_judged_by_what_stands_there(old, new, box, expected):
    assert steps(EXACT.replace(old, new, 1), box) == expected


def test_a_requirement_that_is_left_out_is_not_weighed_and_not_read():
    text = "principles begin fish 4 critique #1 fish ; begin fish yes 4 = 4 #2 dish ; begin fish no 0 = 0 scores"
    assert steps(text, (4, 0)) == Steps(0.5, 0.5, 1, 1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "principles begin fish 4",
        EXACT.replace("#2", "#3"),
        EXACT.replace("= 5", "="),
        EXACT.replace("yes 4 lack", "yes lack"),
        EXACT.replace("begin fish 4 ,", "begin fish 3 ,"),
        EXACT.replace("; begin", "begin"),
    ],
)
def test_what_is_not_written_in_full_is_not_read(text):
    assert read_judgment(text, 2) is None


def test_what_the_crowd_writes_is_read_and_exact_authors_are_right():
    draw = Random(0)
    cases = list(islice(world.cases(11, heldout=False), 200))
    for case in cases:
        n = len(case.responses)
        for form in (crowd.Form(True), crowd.Form(False)):
            assert read_judgment(crowd.judgment_text(draw, case, form=form), n) is not None
        exact = read_judgment(crowd.exact_judgment(case, form=crowd.Form()), n)
        box = case.worth if n > 1 else [case.truth]
        assert steps_of(exact, case.query, case.responses, box) == Steps(1, 1, 1, 1, 1)
        assert [line.computed for line in exact.lines] == case.worth
