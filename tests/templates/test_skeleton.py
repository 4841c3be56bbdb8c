"""Shipped templates are laid out once; what is filled in equals what Jinja renders."""

import itertools

import pytest

from spct.templates import TEMPLATES, load_template
from spct.templates.skeleton import Hole, Skeleton
from spct.templates.source import SHIPPED, load_source
from spct.types import Item, Message

TEXTS = ("", "plain", "  padded \n", "{{ tag }} {% raw %}", "\0hole 1\0", "multi\n\nline", "é – 判断 🏅", "\\boxed{1}")


def items():
    """Items of every shape, each text in every place somewhere."""
    texts = itertools.cycle(TEXTS[1:])
    for turns, n, reference, principles in itertools.product((1, 2, 3), (1, 2, 5), (None, " ref\n"), (None, "1. p ")):
        roles = itertools.cycle(("user", "assistant", "system"))
        messages = tuple(Message(next(roles), next(texts)) for _ in range(turns))
        responses = tuple(TEXTS[(turns + place) % len(TEXTS)] for place in range(n))
        yield Item("q", messages, responses, reference=reference, principles=principles)


@pytest.mark.parametrize("name", TEMPLATES)
def test_filled_in_as_jinja_renders(name):
    template, source = load_template(name), load_source(SHIPPED / TEMPLATES[name], name)
    compared = 0
    for item in items():
        first = " a first step " if template.first else None
        optional = {"reference": item.reference, "principles": item.principles, "first": first}
        given = {**optional, "single": len(item.responses) == 1 or None}
        if any(given[need] is None for need in template.needs) or template.refuses(len(item.responses)):
            continue
        for order in (range(len(item.responses)), tuple(reversed(range(len(item.responses))))):
            sealed = template._shield.seal(
                [
                    *[message.content for message in item.messages],
                    *(item.responses if template.shows_responses else ()),
                    *[text for text in optional.values() if text is not None],
                ],
                len(order),
            )
            turns = sealed.texts[: len(item.messages)]
            shown = [sealed.texts[len(turns) + index] for index in order] if template.shows_responses else []
            last = iter(sealed.texts[-sum(text is not None for text in optional.values()) or len(sealed.texts) :])
            expected = source.render(
                {
                    "n": len(shown),
                    "low": source.meta.scale[0],
                    "high": source.meta.scale[1],
                    "tag": sealed.tag,
                    "form": source.meta.make_reader().form(len(order)),
                    "turns": list(zip([message.role for message in item.messages], turns, strict=True)),
                    "query": turns[-1],
                    "responses": list(enumerate(shown, 1)),
                    **{name: None if text is None else next(last) for name, text in optional.items()},
                    "trajectories": False,
                }
            )
            assert template.render(item, order, given={} if first is None else {"first": first}) == expected
            compared += 1
    assert compared >= 12


def test_a_skeleton_has_its_texts_where_the_holes_were():
    skeleton = Skeleton.of([("system", "be fair"), ("user", f"a {Hole(1)} b {Hole(0)}{Hole(1)}")])
    assert skeleton.fill(["x", "\0hole 0\0"]) == [("system", "be fair"), ("user", "a \0hole 0\0 b x\0hole 0\0")]


@pytest.mark.parametrize("read", [bool, len, list, hash, lambda h: h == "x", lambda h: "x" in h, lambda h: h[0]])
def test_a_hole_cannot_be_read(read):
    with pytest.raises(TypeError, match="reads a text"):
        read(Hole(0))
