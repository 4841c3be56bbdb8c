"""Judgments made by hand, for the tests of meta RMs."""

from spct.meta.cases import make_cases
from spct.templates import load_template
from spct.types import Item, Judgment, Message, Problem


def item(n=2, best=1, **fields):
    responses = tuple(f"answer {i}" for i in range(n))
    return Item("q", (Message("user", "Which is larger, 9 or 11?"),), responses, best=best, **fields)


def judgment(index, scores, order=None, text=None, **fields):
    problem = None if scores is not None else Problem("no_box", "there is none")
    order = tuple(range(len(scores or (0, 0)))) if order is None else order
    text = f"The judgment number {index}." if text is None else text
    return Judgment(index, order, 100 + index, text, "stop", scores, problem, **fields)


def cases_of(judgments, of=None, special_tokens=(), principles=None, template="grm"):
    given = {} if principles is None else {"principles": principles}
    return make_cases(of or item(), judgments, load_template(template), lambda *_: given, special_tokens=special_tokens)
