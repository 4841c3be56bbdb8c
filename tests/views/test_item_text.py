from dataclasses import replace

from spct.run.stored import StoredItem
from spct.types import Item, Judgment, Message, Problem
from spct.views import Surface
from spct.views.item_text import ItemView
from spct.voting.vote import decide

ITEM = Item("q", (Message("user", "x"),), ("a", "b"))


def rendered(judgment, view=None):
    stored = StoredItem(0, ITEM, decide([judgment], id="q", n=2, k=1), finished=True)
    text = "\n".join((view or ItemView()).render(stored, [judgment]))
    return text[text.index("judgment 0") : text.index("\n\nvote")].splitlines()


def test_expected_scores_with_what_they_leave_out():
    judgment = Judgment(
        0, (1, 0), 5, "text", "stop", (7, 4), expected=(7.125, 3.5), unresolved=(0.031, 0.0), attempt=1, block=2
    )
    assert rendered(judgment) == [
        "judgment 0, block 2, retry 1  seed 5, ended by itself",
        "  shown as  Response 1 = B, Response 2 = A",
        "  scores    A: 7, B: 4",
        "  expected  A: 7.12, B: 3.5",
        "  left out  A: 0.03, B: 0 (probability that the expected scores do not account for)",
        "  text",
        "    text",
    ]


def test_a_terminal_wraps_facts_under_themselves():
    lines = rendered(Judgment(0, (1, 0), 5, "text", "stop", (7, 4)), ItemView(Surface(width=40, terminal=True)))
    assert lines[1:4] == [
        "  shown as  Response 1 = B, Response 2 =",
        "            A",
        "  scores    A: 7, B: 4",
    ]


def test_folded_judgments_are_a_line_each():
    judgments = [
        Judgment(0, (1, 0), 5, "text", "stop", (7, 4)),
        Judgment(1, (0, 1), 6, "", "stop", None, Problem("empty", "the completion is empty")),
    ]
    stored = StoredItem(0, ITEM, replace(decide(judgments, id="q", n=2, k=2), kept=(1,)), finished=True)
    text = "\n".join(ItemView(full=False).render(stored, judgments))
    assert text[text.index("judgment 0") : text.index("\n\nvote")].splitlines() == [
        "judgment 0  A 7 (shown 2), B 4 (shown 1), left out of the vote",
        "judgment 1  empty: the completion is empty",
        "(whole with --full, or in spct view)",
    ]
