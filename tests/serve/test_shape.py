"""The values of a JSON text are counted as it arrives, whatever it holds and wherever it is cut."""

import json
import random

import pytest

from spct.serve.shape import ValueCount


def counted(text, *cuts):
    count = ValueCount()
    for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        count.feed(text[begin:end])
    return count.values


def values_in(value):
    """The items of lists, the pairs of objects, and lists and objects that hold nothing."""
    if isinstance(value, list):
        return max(1, len(value)) + sum(map(values_in, value))
    if isinstance(value, dict):
        return max(1, len(value)) + sum(map(values_in, value.values()))
    return 0


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (b"1", 0),
        (b"[]", 1),
        (b'["a, b", [], {}, {"c": [1, 2]}]', 4 + 1 + 1 + 1 + 2),
        (rb'["\"", "\\", "\\\",[", "a\\"]', 4),
        (b'["[[[[,,,,"]', 1),
        (b"[[[[", 4),
        (b'["a', 1),
    ],
)
def test_the_values_of_a_text(text, values):
    assert counted(text) == values
    assert {counted(text, cut) for cut in range(len(text))} == {values}


def made(chance, depth):
    kind = chance.choice(["text", "number", "list", "object"] if depth else ["text", "number"])
    if kind == "text":
        return "".join(chance.choices('a,"\\[]{}:é😀\n', k=chance.randrange(6)))
    if kind == "number":
        return chance.choice([0, -1.5, True, None])
    parts = [made(chance, depth - 1) for _ in range(chance.randrange(4))]
    return parts if kind == "list" else {f'k{i}",': part for i, part in enumerate(parts)}


def test_any_text_cut_anywhere():
    chance = random.Random(0)
    for _ in range(500):
        value = made(chance, 4)
        text = json.dumps(value, ensure_ascii=chance.random() < 0.5).encode()
        cuts = sorted(chance.randrange(len(text) + 1) for _ in range(chance.randrange(5)))
        assert counted(text, *cuts) == values_in(value)
