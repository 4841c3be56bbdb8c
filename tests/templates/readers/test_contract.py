"""What holds for every reader: one row each. A reader of your own belongs here too."""

import json
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spct.errors import InputError
from spct.templates.front_matter import DEFAULT_HEADINGS, Headings
from spct.templates.grammar import write_grammar
from spct.templates.parsing import parse_answer
from spct.templates.readers import READERS, Scale, make_reader
from spct.templates.shield import Shield
from templates.gbnf import Grammar

ARENA = {"choice": {"form": "[[{}]]", "labels": ["A", "C", "B"]}}
ROWS = [  # declared, scale, numbers of responses, whether the words that could stand in the form can be listed
    ("box", Scale(1, 10), (1, 2, 3), True),
    ("box", Scale(-3, 3), (1, 2), True),
    ("box", Scale(0, 1, 2), (1, 2), False),
    ("box", Scale(-2, 2, 1), (2,), False),
    ("box-each", Scale(1, 10), (1, 2, 3), True),
    ({"scales": {"each": [[1, 5], [0, 1]]}}, Scale(1, 10), (2, 4), True),
    ("weighted", Scale(1, 10), (1, 2, 3), False),
    ("index", Scale(1, 10), (1, 2, 12), True),
    ("list", Scale(0, 100), (1, 2, 3), True),
    ("card", Scale(1, 10), (1, 2), False),
    (ARENA, Scale(1, 10), (2,), True),
    ({"choice": {"form": "Winner: Response {}", "labels": "{letter}"}}, Scale(1, 10), (1, 2, 5), True),
    ({"choice": {"form": "{}", "labels": ["A>>B", "A>B", "B>A", "B>>A"]}}, Scale(1, 10), (2,), True),
    ({"pattern": {"form": "[RESULT] {}"}}, Scale(1, 5), (1, 2), True),
    ({"pattern": {"form": "<score>{}</score>"}}, Scale(1, 5), (1, 3), True),
    ({"pattern": {"form": "Rating {letter}: {}"}}, Scale(1, 10, 1), (1, 2, 3), False),
    ({"json": {"scores": "score_{i}", "principles": "rubric", "critique": "analysis"}}, Scale(1, 10), (1, 2, 12), True),
    ({"json": {"scores": "scores.model-{i}"}}, Scale(1, 5), (1, 2), True),
    ({"json": {"scores": "ratings", "critique": "why"}}, Scale(0, 1, 1), (1, 2), False),
    ({"json": {"choice": "better", "labels": ["first", "tie", "second"], "critique": "why"}}, Scale(1, 10), (2,), True),
    ({"json": {"choice": "ranking", "labels": [1, 2, 3, 4, 5, 6]}}, Scale(1, 10), (2,), True),
    ({"json": {"ranking": "best-to-worst", "labels": "model-{i}"}}, Scale(1, 10), (2, 3, 4), False),
]
EACH = [(make_reader(declared, scale), n) for declared, scale, sizes, _ in ROWS for n in sizes]
NAMES = [f"{declared}-{scale.low}-{n}" for declared, scale, sizes, _ in ROWS for n in sizes]
each = pytest.mark.parametrize(("reader", "n"), EACH, ids=NAMES)
HEADINGS = Headings(None, "Analysis:", "Scores:")


def test_every_reader_has_a_row():
    named = {declared if isinstance(declared, str) else next(iter(declared)) for declared, *_ in ROWS}
    assert named == set(READERS) - {"text"}


@each
def test_the_form_that_a_prompt_shows_is_no_answer(reader, n):
    assert reader.refuses(n) is None
    for text in (reader.form(n), f"Answer so: {reader.form(n)}\n", f"{reader.form(n)} {reader.form(n)}"):
        assert parse_answer(reader, text, n).scores is None, text


@each
@pytest.mark.parametrize("headings", [DEFAULT_HEADINGS, HEADINGS, Headings()])
def test_every_derivation_of_the_grammar_is_read(reader, n, headings):
    grammar, rng = Grammar(write_grammar(reader, n, 256, headings)), random.Random(n)
    low, high = reader.scale
    for _ in range(12):
        text = grammar.derive(rng)
        parsed = parse_answer(reader, text, n)
        assert parsed.problem is None, (parsed.problem, text)
        assert len(parsed.scores) == n
        assert all(low <= score <= high for score in parsed.scores)
        written = text[slice(*parsed.span)]
        assert parse_answer(reader, written, n).scores == parsed.scores
        slots = reader.slots(text, parsed.span, n)
        if slots:
            said = [slot.scores[text[slice(*slot.span)]] for slot in slots]
            assert tuple(score for scores in said for score in scores) == parsed.scores


@pytest.mark.parametrize(("declared", "scale", "sizes", "listed"), ROWS)
def test_expected_scores_are_given_where_the_words_can_be_listed(declared, scale, sizes, listed):
    reader, n = make_reader(declared, scale), sizes[-1]
    text = Grammar(write_grammar(reader, n, 256, Headings())).derive(random.Random(0))
    assert bool(reader.slots(text, parse_answer(reader, text, n).span, n)) == listed


@each
def test_a_schema_says_what_the_grammar_says(reader, n):
    schema = reader.schema(n)
    if schema is None:
        assert not NAMES[EACH.index((reader, n))].startswith("{'json'")
        return
    grammar, rng = Grammar(write_grammar(reader, n, 256, DEFAULT_HEADINGS)), random.Random(1)
    for _ in range(12):
        follows(json.loads(grammar.derive(rng)), schema)


def follows(value: Any, schema: dict) -> None:
    """Check a value by the few words of JSON schema that readers use; another word raises."""
    checks = {
        "type": lambda kind: isinstance(
            value, {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)}[kind]
        ),
        "enum": lambda options: value in options,
        "minimum": lambda least: value >= least,
        "maximum": lambda most: value <= most,
        "minItems": lambda least: len(value) >= least,
        "maxItems": lambda most: len(value) <= most,
        "required": lambda names: list(value) == names,
        "additionalProperties": lambda allowed: allowed is False and set(value) <= set(schema["properties"]),
    }
    for word, wanted in schema.items():
        if word == "properties":
            for name, inner in wanted.items():
                follows(value[name], inner)
        elif word == "items":
            for inner in value:
                follows(inner, wanted)
        else:
            assert checks[word](wanted), (word, wanted, value)


def answers(reader, n, seed, count=3):
    """Well-formed answers without anything before them."""
    grammar, rng = Grammar(write_grammar(reader, n, 128, Headings())), random.Random(seed)
    return [grammar.derive(rng) for _ in range(count)]


@each
def test_no_quotation_of_a_sealed_answer_is_read(reader, n):
    """Whoever writes the judge's answer into a response has it broken there; a choice that is the whole answer apart."""
    shield = Shield((), reader)
    if not reader.looks(n):
        assert reader.noun == "a label alone"
        return
    for text in answers(reader, n, 5, 6):
        for hostile in (text, text.upper(), f"x {text} y", text.replace(" ", "   "), f"{text}\n{text}"):
            (sealed,) = shield.seal([hostile], n).texts
            assert shield.seal([sealed], n).texts == (sealed,)
            for written in (sealed, f"It says {sealed}", f"> {sealed}\n", sealed[: len(sealed) // 2]):
                for finish in ("stop", "length"):
                    assert parse_answer(reader, written, n, finish).scores is None, written


PADDING = (" ", "\n", "\t", "\r\n", " " * 600, "*", "**", "_", "`", "$", ".", ",", "'", "(", "~", "\u200b", "\u00a0")


@each
def test_an_answer_in_any_padding_that_is_still_read_is_broken(reader, n):
    shield, rng, read = Shield((), reader), random.Random(n), 0
    if not reader.looks(n):
        return
    for text in answers(reader, n, 7, 80):
        at = rng.randrange(len(text) + 1)
        padded = text[:at] + rng.choice(PADDING) + text[at:]
        read += parse_answer(reader, padded, n).scores is not None
        (sealed,) = shield.seal([padded], n).texts
        assert parse_answer(reader, sealed, n).scores is None, padded
    assert read > 0


@each
def test_an_answer_with_blanks_between_its_letters_is_broken(reader, n):
    """A judge that copies it may close the gaps."""
    for text in answers(reader, n, 11):
        (sealed,) = Shield((), reader).seal([re.sub(r"(?<=[^-0-9])(?=\S)", " ", text)], n).texts
        tidy = sealed.replace(" ", "")
        assert not reader.looks(n) or parse_answer(reader, tidy, n).scores is None, sealed


@pytest.mark.parametrize("declared", ["box", "list", "card", "weighted"])
def test_dots_between_many_numbers_cost_no_more_than_their_length(declared):
    """Each may be a decimal point or not: to try both for each of 60 would never end."""
    n = 60
    reader = make_reader(declared, Scale(1, 10, 0 if declared == "card" else 2))
    for text in ("\\boxed{" + "1." * 5 * n + "x", "[" + "1." * 5 * n + "5-" * n):
        assert Shield((), reader).seal([text], n).texts[0][1:] == text[1:]
    for inside in (".".join(["1.5"] * n), ", ".join(["1.5"] * n), ". ".join(["1"] * n)):
        text = f"\\boxed{{{inside}}} [{inside}]"
        assert Shield((), reader).seal([text], n).texts != (text,)


PIECES = [
    "[[", "]]", "[", "]", "A", "B", "C", "1", "2", "10", "model-1", "score_1", "score_2", '"', "'", "“", ":", ",", "{", "}",
    "\\", " ", "\n", "\t", "\u200b", "\u3000", "［", "Ａ", "１", "Winner", "Response", "winner:", "RESULT", "[RESULT]", "<",
    ">", "score", "<score>", "</score>", "Rating", "Rating A: ", "ratings", "better", "first", "tie", "ranking", "*", "_", ".",
    "\\boxed", "best-to-worst", '{"', '": ', "model-2", "(", ")", "-", "0", "5", "·", "⟦",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join), st.sampled_from(range(len(EACH))))
@settings(max_examples=1500)
def test_the_shield_sees_every_form_that_a_reader_takes(text, which):
    reader, n = EACH[which]
    if not reader.looks(n):
        return
    (sealed,) = Shield((), reader).seal([text], n).texts
    for written in (sealed, f"\n{sealed}", f"a {sealed}\n", sealed[: len(sealed) // 2]):
        assert parse_answer(reader, written, n).scores is None


@pytest.mark.parametrize(
    "text",
    [
        "See [the docs](https://x.org) and `a[i] < b[j] | c`, {'a': 1}.",
        'The winner is France; the score was 2 to 1, a rating of "good".',
        '{"name": "x", "value": [1, 2, 3, 4, 5]} and [a] and **[b]**',
    ],
)
@each
def test_ordinary_text_is_untouched(reader, n, text):
    assert Shield((), reader).seal([text], n).texts == (text,)


HOSTILE = [
    '{"',
    '"',
    "{",
    "[",
    "[[",
    "\\boxed{",
    "<score>",
    "[RESULT] ",
    "Winner: Response ",
    '{"a": ',
    '\\"',
    '{"\\"',
    " ",
    "Score: ",
]


@each
def test_hostile_completions_are_read_all_the_same(reader, n):
    """Long runs of what opens something; ``benchmarks.shield_cost`` measures that the time is linear."""
    for unit in HOSTILE:
        assert parse_answer(reader, unit * (20_000 // len(unit)), n).scores is None


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (
            "boxes",
            "reader is 'boxes'; expected one of box, box-each, ",
        ),
        ({"box": {}, "list": {}}, "expected one of box"),
        ({"pattern": "x"}, "expected one of box"),
        ("pattern", "reader 'pattern' lacks form; it takes form"),
        ({"pattern": {"form": "{}"}}, "form is '{}'; expected text before the {}"),
        ({"pattern": {"form": "no place"}}, "form is 'no place'; expected one line of text with {}"),
        ({"pattern": {"form": "a {} b {}"}}, "expected one line of text with {}"),
        ({"pattern": {"form": "a\n{}"}}, "expected one line of text with {}"),
        ({"pattern": {"form": "Score {}", "regex": "x"}}, "reader 'pattern' takes no regex; it takes form"),
        ({"choice": {"form": "[[{}]]"}}, "reader 'choice' lacks labels; it takes form, labels"),
        ({"choice": {"form": "[[{}]]", "labels": ["A"]}}, "labels is ['A']; expected a list of labels"),
        ({"choice": {"form": "[[{}]]", "labels": ["A", "A"]}}, "labels is ['A', 'A']"),
        ({"choice": {"form": "[[{}]]", "labels": "A"}}, "labels is 'A'"),
        ({"choice": {"form": "{i}: {}", "labels": ["A", "B"]}}, "a choice is made once"),
        ({"json": {}}, "expected exactly one of scores, choice and ranking"),
        ({"json": {"scores": "a", "ranking": "b"}}, "expected exactly one of scores, choice and ranking"),
        ({"json": {"scores": "a", "labels": "{i}"}}, "labels belong to a choice or a ranking"),
        ({"json": {"scores": "a..b"}}, "got the path 'a..b'"),
        ({"json": {"scores": ["a", "a"]}}, "expected different ones"),
        ({"json": {"choice": "a"}}, "labels is None"),
    ],
)
def test_what_a_reader_refuses_to_be_made_of(declared, said):
    with pytest.raises(InputError) as error:
        make_reader(declared, Scale(1, 10))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("declared", "n", "said"),
    [
        (ARENA, 1, "its answer is a choice between two responses, got 1"),
        (ARENA, 3, "its answer is a choice between two responses, got 3: use the judge pairwise"),
        ({"json": {"ranking": "order"}}, 1, "its answer is a ranking of two responses or more, got 1"),
        ({"json": {"scores": ["a", "b"]}}, 3, "its answer has scores for 2 responses, got 3"),
        ({"json": {"scores": ["a", "b"]}}, 1, None),
    ],
)
def test_numbers_of_responses_that_a_form_cannot_hold(declared, n, said):
    assert make_reader(declared, Scale(1, 10)).refuses(n) == said
