from spct.run.stored import StoredItem
from spct.types import Item, Judgment, Message
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
        "  shown as  Response 1 = response 1, Response 2 = response 0",
        "  scores    response 0: 7, response 1: 4",
        "  expected  response 0: 7.12, response 1: 3.5",
        "  left out  response 0: 0.03, response 1: 0 (probability that the expected scores do not account for)",
        "  text",
        "    text",
    ]


def test_a_terminal_wraps_facts_under_themselves():
    lines = rendered(Judgment(0, (1, 0), 5, "text", "stop", (7, 4)), ItemView(Surface(width=50, terminal=True)))
    assert lines[1:4] == [
        "  shown as  Response 1 = response 1, Response 2 =",
        "            response 0",
        "  scores    response 0: 7, response 1: 4",
    ]
