from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from spct.types import Item, ItemError, Judgment, Message, Problem
from spct.views import Surface, verdict_header, verdict_line
from spct.voting.vote import decide

WIDTHS = [30, 40, 60, 79, 80, 100, 160]


def item(n, best=None, id="q", **more):
    return Item(id, (Message("user", "x"),), tuple(f"r{i}" for i in range(n)), best=best, **more)


def verdict(rows, id="q", k=None, invalid=0, **more):
    n = len(rows[0]) if rows else 2
    judgments = [Judgment(i, tuple(range(n)), i, f"text {i}", "stop", tuple(row)) for i, row in enumerate(rows)]
    bad = Problem("no_box", "none")
    judgments += [Judgment(i, tuple(range(n)), i, f"bad {i}", "stop", None, bad) for i in range(invalid)]
    voted = decide(judgments, id=id, n=n, k=k or len(rows) or 2, tie_rule="first", **more)
    return voted if voted.confidence is None else replace(voted, confidence=0.87)  # whatever the estimator says


def test_header_and_lines_stand_in_columns():
    assert [
        verdict_header(),
        verdict_line(verdict([(3, 9), (4, 8)], "prime"), item(2, best=1)),
        verdict_line(verdict([(9, 3), (4, 3)], "prime"), item(2, best=1)),
        verdict_line(verdict([(5, 6, 6), (5, 6, 6)], "tie"), item(3, best=2)),
        verdict_line(verdict([(7,), (8,)], "lone", invalid=1), item(1)),
        verdict_line(verdict([], "none", invalid=3), item(2, best=0)),
    ] == [
        "item                   best  mean ± spread, best first               conf   valid/k  notes",
        "prime                ✓ B     B: 8.50±0.7  A: 3.50±0.7                0.87   2/2",
        "prime                ✗ A     A: 6.50±3.5  B: 3.00±0.0                0.87   2/2",
        "tie                  = B     B: 6.00±0.0  C: 6.00±0.0  A: 5.00±0.0   0.87   2/2      tie B C",
        "lone                   A     A: 7.50±0.7                             -      2/2      1 invalid",
        "none                 - -     no verdict: NoValidJudgment             -      0/2      3 invalid",
    ]


def test_a_single_judgment_has_no_spread():
    assert "  B: 9.00  A: 3.00  " in verdict_line(verdict([(3, 9)]), item(2))


def test_many_responses_show_the_first_few():
    rows = [tuple(range(1, 11)), tuple(range(1, 11))]
    text = verdict_line(verdict(rows), item(10))
    assert "J: 10.00±0.0  I: 9.00±0.0  +8" in text
    wide = verdict_line(verdict(rows), item(10), Surface(width=160))
    assert "J: 10.00±0.0  I: 9.00±0.0  H: 8.00±0.0  G: 7.00±0.0  F: 6.00±0.0  E: 5.00±0.0  +4" in wide


def test_narrow_surfaces_lose_notes_then_confidence_then_valid():
    tied = verdict([(6, 6), (6, 6)])
    shown = [verdict_line(tied, item(2, best=0), Surface(width=width)) for width in (100, 80, 56, 45, 30)]
    assert [text.split()[0:3] for text in shown] == [["q", "=", "A"]] * 5
    assert ["tie" in text for text in shown] == [True, False, False, False, False]
    assert ["0.87" in text for text in shown] == [True, True, False, False, False]
    assert ["2/2" in text for text in shown] == [True, True, True, False, False]
    assert ["A: 6.00±0.0" in text for text in shown] == [True, True, True, True, True]


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_surface(width):
    surface = Surface(width=width)
    hostile = "日本\x1b[2J\n" * 20
    lines = [
        verdict_header(surface),
        verdict_line(verdict([tuple([5] * 40)] * 3, hostile, invalid=4), item(40), surface),
        verdict_line(verdict([], hostile, invalid=2), item(2), surface),
        verdict_line(verdict([(1, 2)], error=ItemError("RejectedError" * 5, hostile)), item(2), surface),
    ]
    assert max(map(cell_len, lines)) <= width
    assert not any("\x1b" in text or "\n" in text for text in lines)


@given(st.text(max_size=50), st.integers(20, 200), st.integers(1, 12))
def test_lines_fit_whatever_the_id(id_, width, n):
    surface = Surface(width=width)
    text = verdict_line(verdict([tuple(range(n)), tuple(range(n))], id_), item(n, id=id_), surface)
    assert cell_len(text) <= width
    plain = verdict_line(verdict([tuple(range(n))] * 2, id_), item(n, id=id_), Surface(width=width, colour=False))
    assert cell_len(plain) <= width


def test_colours_surround_single_cells_only():
    text = verdict_line(verdict([(3, 9), (4, 8)]), item(2, best=1), Surface(colour=True))
    assert text.startswith("q" + " " * 20 + "\x1b[32m✓\x1b[0m \x1b[1mB\x1b[0m     B: 8.50±0.7")


def test_without_an_item_there_is_no_mark():
    assert verdict_line(verdict([(3, 9)])).split()[:2] == ["q", "B"]


def test_judgments_in_blocks_count_once_per_pass():
    judgments = [
        Judgment(i, order, 0, f"{i} {block}", "stop", (3, 4), block=block)
        for i in range(2)
        for block, order in enumerate([(0, 1), (1, 2)])
    ]
    in_blocks = decide(judgments, id="b", n=3, k=2)
    assert "  2/2" in verdict_line(in_blocks, item(3))
