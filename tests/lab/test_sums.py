"""The laboratory's totals from what a judgment says, beside those that it wrote."""

from itertools import islice
from random import Random

from benchmarks.spct_lab import crowd, world
from benchmarks.spct_lab.sums import added, ballots_by, weighed

from spct.bench.suites.benchmark import Ballot
from spct.run import RunStore
from spct.types import Item, Judgment, Message, Problem, Usage

JUDGMENT = (
    "principles begin boat 4 , lack stone 1 , end dish 2 critique "
    "#1 boat stone fish dish ; begin boat yes 4 lack stone yes 0 end dish yes 2 = 6 "
    "#2 stone spice spice boat ; begin boat no 0 lack stone no 4 end dish no 0 = 0 scores \\boxed{ 6 , 0 }"
)


def test_three_totals_of_one_judgment():
    assert added(JUDGMENT, 2) == (6, 4)  # the author added the second up wrongly
    assert weighed(JUDGMENT, 2) == (6, 1)  # and had given lack stone more than it weighs
    assert added(JUDGMENT.partition("scores")[0], 2) == (6, 4)  # no box is needed


def test_what_does_not_say_enough_of_every_response_has_no_total():
    assert added(JUDGMENT, 3) is None and weighed(JUDGMENT, 1) is None
    assert added(JUDGMENT.replace("#2", "#1"), 2) is None
    assert added(JUDGMENT.replace("begin boat no 0 lack stone no 4 end dish no 0 =", "="), 2) is None
    assert weighed(JUDGMENT.replace("lack stone 1 , ", ""), 2) is None
    assert added("critique" + JUDGMENT.partition("critique")[2], 2) == (6, 4)  # principles are for the weights alone
    assert weighed("critique" + JUDGMENT.partition("critique")[2], 2) is None


def test_a_judgment_without_fault_has_one_total_and_the_crowds_often_do_not():
    draw, differ = Random(0), 0
    cases = list(islice(world.cases(3, heldout=True, sizes=(2, 3, 4)), 200))
    for case in cases:
        exact = crowd.exact_judgment(case, form=crowd.Form())
        assert added(exact, len(case.responses)) == weighed(exact, len(case.responses)) == tuple(case.worth)
        said = crowd.judgment_text(draw, case, form=crowd.Form())
        assert added(said, len(case.responses)) == weighed(said, len(case.responses))  # authors multiply rightly
        box = said.partition("\\boxed{ ")[2].removesuffix(" }")
        differ += bool(box) and box != " , ".join(map(str, added(said, len(case.responses))))
    assert 10 < differ < 60  # and add up wrongly, or copy the sums wrongly, in some


def test_ballots_are_in_item_order_and_say_how_many_boxes_differ(tmp_path):
    store = RunStore.create(tmp_path / "run", {"settings": "{}"})
    store.add_item(0, Item("a", (Message("user", "q"),), ("x", "y")))
    made = [
        Judgment(0, (1, 0), 0, JUDGMENT, "stop", (0, 6)),
        Judgment(1, (0, 1), 1, "nothing", "stop", None, Problem("no_box", "no box")),
    ]
    store.record(0, made, Usage())
    store.flush()
    store.close()
    ballots, other = ballots_by(tmp_path / "run", added)
    assert ballots == {"a": [Ballot((4, 6), (1, 0)), Ballot(None, (0, 1))]} and other == {"a": 1.0}
