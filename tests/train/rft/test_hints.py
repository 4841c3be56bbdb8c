import pytest

from spct.errors import InputError
from spct.templates import load_template
from spct.train.rft.hints import HintedTemplate, hint_of
from spct.types import Item, Message


def item(n=2, best=1, **extra):
    return Item("i", (Message("user", "?"),), tuple("abcd"[:n]), best=best, extra=extra)


@pytest.mark.parametrize(
    ("given", "order", "said"),
    [
        (item(), (0, 1), "Hint: the best response is: response 2"),
        (item(), (1, 0), "Hint: the best response is: response 1"),
        (item(4, best=2), (3, 1, 0, 2), "Hint: the best response is: response 4"),
        (item(strength=1), (1, 0), "Hint: the best response is: response 1 (it is slightly better than the other)"),
        (item(strength=2), (0, 1), "Hint: the best response is: response 2 (it is clearly better than the other)"),
        (item(strength=3), (0, 1), "Hint: the best response is: response 2 (it is much better than the other)"),
        (Item("i", (), ("a",), rewards_N=(0.0,)), (0,), "Hint: the correct score is: 0"),
        (Item("i", (), ("a",), rewards_N=(1.0,)), (0,), "Hint: the correct score is: 1"),
    ],
)
def test_the_hint_names_the_best_response_where_it_is_shown(given, order, said):
    assert hint_of(given, order) == said


@pytest.mark.parametrize("strength", [0, 4, 2.5, "much", True])
def test_a_strength_out_of_range_is_an_error(strength):
    with pytest.raises(InputError, match="expected 1, 2 or 3"):
        hint_of(item(strength=strength), (0, 1))


def test_there_must_be_something_to_hint_at():
    with pytest.raises(InputError, match="no single best response"):
        hint_of(item(best=None), (0, 1))
    with pytest.raises(InputError, match="no single best response"):
        hint_of(item(3, best=2), (0, 1))
    with pytest.raises(InputError, match="no label"):
        hint_of(Item("i", (), ("a",)), (0,))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_hinted_prompt_is_the_plain_one_and_the_hint(order):
    plain = load_template("grm")
    hinted = HintedTemplate(plain)
    *before, last = hinted.render(item(), order)
    *same, bare = plain.render(item(), order)
    assert before == same
    assert last.content == f"{bare.content}\n\n{hint_of(item(), order)}"
    assert (hinted.name, hinted.digest) == (plain.name, plain.digest)
