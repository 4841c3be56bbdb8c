"""What was voted over in each order: people's agreement, the viewer's filter and the terminal's go by the same rows."""

from contextlib import closing
from fractions import Fraction
from typing import Any, NamedTuple

import pytest

from cli.test_show import shown
from spct.judges.settings import judge_settings
from spct.judges.verdicts import verdict_of
from spct.rubrics import Rubric
from spct.run import RunStore
from spct.run.labels import Label, add_label, labels_of
from spct.run.opening import begun
from spct.types import Item, Judgment, Message, Usage
from spct.view.agreement import agreement
from spct.view.index import Index, query_of
from spct.view.index.query import find
from spct.voting.jury import BLOCKS, Juror, Jury

PAIR = Item("pair", (Message("user", "which?"),), ("a", "b"))
FORTH, BACK = (0, 1), (1, 0)
RUBRIC = Rubric.of_row(
    {
        "name": "two",
        "criteria": [
            {"id": "right", "kind": "yes_no", "weight": 1, "ask": "Is it right?"},
            {"id": "rude", "kind": "yes_no", "weight": -5, "ask": "Is it rude?"},
        ],
    }
)
JURY = Jury((Juror("first", 0, 2), Juror("second", 1, 2, Fraction(3))), "rank")


def said(index, order, scores, block=0, expected=None):
    return Judgment(index, order, 0, "text", "stop", scores, None, expected, block=block)


class Voted(NamedTuple):
    """How ``judgments`` are voted over; which response people prefer; whether the orders disagree."""

    settings: dict[str, Any]
    judgments: list[Judgment]
    preferred: int
    flipped: bool


PLAIN = Voted({}, [said(0, FORTH, (8, 5)), said(1, BACK, (4, 6))], 0, True)
EXPECTED = Voted(
    {"rule": "expected"},
    [said(0, FORTH, (8, 5), expected=(8.0, 5.0)), said(1, BACK, (8, 5), expected=(5.0, 6.0))],
    0,
    True,
)
# Added up as they are, the answers would name the second response where FORTH was shown, which is the rude one.
ANSWERS = [said(0, FORTH, (1, 1)), said(0, FORTH, (0, 1), 1), said(1, BACK, (1, 0)), said(1, BACK, (0, 0), 1)]
BY_RUBRIC = Voted({"rubric": RUBRIC}, ANSWERS, 0, False)
# Added up as they are, the scores would name the first response where FORTH was shown; the second juror's rank weighs more.
OF_BOTH = [said(i, order, own, b) for i, order, first in ((0, FORTH, (9, 1)), (1, BACK, (1, 9)))
           for own, b in ((first, 0), ((5, 6), BLOCKS))]  # fmt: skip
BY_JURY = Voted({"jury": JURY}, OF_BOTH, 1, False)


@pytest.fixture(params=[PLAIN, EXPECTED, BY_RUBRIC, BY_JURY], ids=["plain", "expected", "rubric", "jury"])
def voted(request, tmp_path):
    """A run of one pair, finished, and labelled by somebody."""
    settings = judge_settings(k=2, **request.param.settings)
    written = {
        name: as_row() for name, value in request.param.settings.items() if (as_row := getattr(value, "as_row", None))
    }
    described = {"model": "m", "k": 2, "seed": 0, "rule": settings.rule, "template": "grm", **written}
    with closing(begun(tmp_path / "run", described, {})) as store:
        store.add_item(0, PAIR)
        store.record(0, request.param.judgments, Usage())
        store.put_verdict(0, verdict_of(PAIR, settings, request.param.judgments).as_row())
    add_label(tmp_path / "run", PAIR, Label(0, "ann", 0, {"label": request.param.preferred}))
    return request.param


def test_both_orders_are_right_by_what_was_voted_over(voted, tmp_path):
    lines = agreement(tmp_path / "run", labels_of(tmp_path / "run")).lines
    (both,) = [line for line in lines if "both orders right" in line]
    assert both.split()[3] == ("0.0%" if voted.flipped else "100.0%")


@pytest.mark.parametrize("finished", [True, False])
def test_flipped_is_by_what_was_voted_over(voted, tmp_path, finished):
    run, asked = tmp_path / "run", ("flipped",) if finished else ("flipped", "unfinished")
    if not finished:
        with closing(RunStore.open(run, write=True)) as store:
            store._db.execute("DELETE FROM verdicts")
    index = Index(run, tmp_path / "cache")
    index.update(60)
    with index.reading() as db:
        found = [row["id"] for row in find(db, query_of([("show", kind) for kind in asked])).rows]
    assert found == (["pair"] if voted.flipped else [])
    filters = [part for kind in asked for part in ("--filter", kind)]
    assert ("\npair " in shown(run, *filters)) is voted.flipped
