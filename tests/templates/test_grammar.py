"""Every derivation of a template's grammar is a judgment, and has no more units than fit."""

import random
import re

import pytest

from spct.templates import load_template
from spct.templates.grammar import UNITS_PER_TOKEN
from templates.gbnf import Grammar

JUDGING = ["grm", "grm-reference", "grm-principles", "judge"]


@pytest.mark.parametrize("name", JUDGING)
@pytest.mark.parametrize("n", [1, 2, 4, 10])
def test_every_derivation_parses(name, n):
    template = load_template(name)
    grammar = Grammar(template.grammar(n, 512))
    rng = random.Random(n)
    for _ in range(20):
        text = grammar.derive(rng)
        assert text.count("\\boxed") == 1, text
        for finish in ("stop", "length"):
            parsed = template.parse(text, n, finish)
            assert parsed.problem is None, (parsed.problem, text)
        assert parsed.scores is not None
        assert len(parsed.scores) == n
        assert parsed.critique.startswith("Response 1: ")


def test_single_covers_both_scores():
    template = load_template("grm-single")
    grammar = Grammar(template.grammar(1, 256))
    rng = random.Random(0)
    assert {template.parse(grammar.derive(rng), 1).scores for _ in range(60)} == {(0,), (1,)}


def test_all_scores_and_places_occur():
    grm, judge = load_template("grm"), load_template("judge")
    rng = random.Random(0)
    grammar, places = Grammar(grm.grammar(2, 128)), Grammar(judge.grammar(12, 256))
    scores = {s for _ in range(80) for s in grm.parse(grammar.derive(rng), 2).scores}
    assert scores == set(range(1, 11))
    best = {judge.parse(places.derive(rng), 12).scores.index(1) for _ in range(150)}
    assert best == set(range(12))


def test_principles_derivations_parse():
    template = load_template("principles")
    grammar = Grammar(template.grammar(2, 256))
    rng = random.Random(0)
    for _ in range(60):
        parsed = template.parse("".join(["Accuracy\n", grammar.derive(rng)]), 2)
        assert parsed.problem is None
        assert parsed.text


@pytest.mark.parametrize(("n", "max_tokens"), [(1, 256), (2, 256), (2, 1024), (4, 1024), (4, 4096), (10, 2048)])
def test_text_is_bounded_by_max_tokens(n, max_tokens):
    grammar = Grammar(load_template("grm").grammar(n, max_tokens))
    rng = random.Random(0)
    # A mark after a backslash belongs to the unit it stands in; labels, headings and box have marks of their own.
    longest = max(
        len(re.findall(r"[- 0-9.,:;!?()/]", re.sub(r"\\(?:bo?)?[- 0-9.,:;!?()/]", "x", grammar.derive(rng))))
        for _ in range(30)
    )
    assert longest <= UNITS_PER_TOKEN * max_tokens + 8 * n + 24


@pytest.mark.parametrize(("max_tokens", "lines", "width"), [(96, 2, 8), (180, 3, 8), (256, 4, 10), (1024, 4, 46)])
def test_little_room_makes_fewer_lines_and_no_longer_text(max_tokens, lines, width):
    """At 96 tokens a quarter of 42 units is for the criteria: four lines of the least width would have had 32."""
    rules = load_template("grm").grammar(2, max_tokens).splitlines()
    assert f"criterion{{2,{lines}}} " in rules[0]
    assert rules[1] == f'criterion ::= first unit{{0,{width}}} "\\n"'
