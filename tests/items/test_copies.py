import pytest

from spct.items.copies import as_shown, copies_of
from spct.types import Item, Judgment, Message

ITEM = Item("q", (Message("user", "q"),), ("a", "b", "a", "c", "b"), best=4, rewards_N=(1.0, 3.0, 1.0, 2.0, 3.0))
COPIES = copies_of(ITEM.responses)


def judged(order, scores, **more):
    return Judgment(0, order, 7, "text", "stop", scores, **more)


def test_each_text_is_there_once():
    assert COPIES.groups == ((0, 2), (1, 4), (3,))
    once = COPIES.once(ITEM)
    assert (once.responses, once.best, once.rewards_N) == (("a", "b", "c"), 1, (1.0, 3.0, 2.0))
    assert len(ITEM.responses) == 5


def test_a_judgment_of_the_texts_is_one_of_all_responses():
    texts = judged((2, 0, 1), (4, 9, 6), expected=(4.5, 8.5, 6.5), unresolved=(0.1, 0.2, 0.3))
    whole = COPIES.spread(texts)
    assert whole.order == (3, 0, 2, 1, 4)
    assert whole.scores == (4, 9, 4, 6, 9)
    assert whole.expected == (4.5, 8.5, 4.5, 6.5, 8.5)
    assert whole.unresolved == (0.1, 0.2, 0.1, 0.3, 0.2)
    assert COPIES.texts(whole) == texts
    assert as_shown(ITEM, whole) == (COPIES.once(ITEM), texts)


def test_a_block_of_some_texts():
    texts = judged((2, 1), (9, 6), block=1)
    whole = COPIES.spread(texts)
    assert (whole.order, whole.scores) == ((3, 1, 4), (9, 6, 9))
    assert COPIES.texts(whole) == texts


def test_an_invalid_judgment_has_an_order_too():
    whole = COPIES.spread(judged((1, 0, 2), None))
    assert (whole.order, whole.scores) == ((1, 4, 0, 2, 3), None)


@pytest.mark.parametrize(("order", "scores"), [((0, 2, 1, 4, 3), (1, 2, 3, 4, 5)), ((0, 1, 2, 3, 4), (4, 9, 4, 6, 9))])
def test_recordings_that_scored_copies_apart_stay_as_they_are(order, scores):
    recorded = judged(order, scores)
    seen, texts = as_shown(ITEM, recorded)
    assert seen is ITEM and texts is recorded


def test_different_texts_are_left_alone():
    item = Item("q", ITEM.messages, ("a", "b"), best=1)
    copies, judgment = copies_of(item.responses), judged((1, 0), (3, 4))
    assert copies.none
    assert copies.once(item) is item and copies.spread(judgment) is judgment and copies.texts(judgment) is judgment
