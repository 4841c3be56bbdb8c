"""A rubric's file: what it becomes, and one clear error for whatever is wrong with it."""

import json
from fractions import Fraction

import pytest

from rubrics.samples import REPLY, SCHEMA, rubric, written
from spct.errors import InputError
from spct.rubrics import Rubric
from spct.rubrics.rubric import shipped_names


def test_a_rubric_is_what_its_file_says(tmp_path):
    read = rubric(tmp_path)
    correct, jargon, tone, short, valid = read.criteria
    assert (read.name, read.threshold, read.judged) == ("support-reply", Fraction(7, 10), (0, 1, 2))
    assert (correct.kind, correct.scale, correct.gate, correct.weight) == ("scale", (1, 5), 3, 3)
    assert correct.anchors == ((1, "wrong on the main point"), (5, "all right"))
    assert (jargon.kind, jargon.scale, jargon.weight) == ("yes-no", (0, 1), -1)
    assert tone.choices == (("warm", Fraction(1)), ("neutral", Fraction(1, 2)), ("cold", Fraction(0)))
    assert tone.scale == (1, 3)
    assert short.check.asked == {"max_words": 120}
    assert valid.check.asked == {"json_schema": json.loads(SCHEMA)} and valid.gate is True


def test_its_row_is_json_and_all_there_is_of_it(tmp_path):
    read = rubric(tmp_path)
    assert Rubric.of_row(json.loads(json.dumps(read.as_row()))) == read


def test_weights_are_exact_as_they_are_written(tmp_path):
    read = rubric(tmp_path, REPLY.replace("weight: 3", "weight: 0.1").replace("weight: 2", "weight: 0.10"))
    assert [criterion.weight for criterion in read.criteria] == [Fraction(1, 10), -1, 1, 1, Fraction(1, 10)]


def changed(old, new):
    assert old in REPLY
    return REPLY.replace(old, new, 1)


BAD = {
    "unknown key": (changed("anchors:", "ancors:"), 8, "unknown key 'criteria.0.ancors'; did you mean 'anchors'"),
    "unknown key of a check": (changed("max_words", "max_word"), 12, "did you mean 'max_words'"),
    "unknown key above": (changed("pass:", "passes:"), 14, "unknown key 'passes'; did you mean 'pass'"),
    "a key twice": (changed("weight: 3\n", "weight: 3\n    weight: 4\n"), 6, "the key 'weight' is there twice"),
    "weights that sum to 0": (changed("weight: 3", "weight: -3"), 2, "criteria: the weights sum to 0, so"),
    "one point": (changed("[1, 5]", "[5, 5]"), 3, "'correct': the scale is [5, 5]; expected two points or more"),
    "a scale upside down": (changed("[1, 5]", "[5, 1]"), 3, "the lowest first"),
    "a scale of too many": (changed("[1, 5]", "[0, 200]"), 3, "expected at most 100 steps"),
    "no scale": (changed("    scale: [1, 5]\n", ""), 3, "'correct': has no scale"),
    "an anchor off the scale": (changed("5: \"all", "6: \"all"), 3, "the anchor 6 is not on the scale [1, 5]"),
    "a gate off the scale": (changed("gate: 3", "gate: 6"), 3, "the gate is 6; expected a number from 1 to 5"),
    "a truth as a gate": (changed("gate: 3", "gate: yes"), 3, "the gate is true; expected a number from 1 to 5"),
    "a weight in words": (changed("weight: 3", "weight: much"), 5, "criteria.0.weight: got 'much'; expected a number"),
    "no finite weight": (changed("weight: 3", "weight: .nan"), 5, "got nan; expected a number"),
    "no question": (changed("    ask: \"Is every statement about the product right?\"\n", ""), 3, "has no question"),
    "neither": (changed("kind: yes-no", "k: 2"), 10, "'jargon': expected either a kind (scale, yes-no, choice)"),
    "both": (changed("check: {max_words", "kind: yes-no, check: {max_words"), 12, "'short': expected either a kind"),
    "a kind of its own": (changed("yes-no", "maybe"), 10, "criteria.1.kind: input should be 'scale', 'yes-no'"),
    "a choice alone": (changed(", neutral: 0.5, cold: 0", ""), 11, "'tone': has 1 choices"),
    "a choice of too much": (changed("warm: 1", "warm: 2"), 11, "the choice 'warm' is worth 2; expected 0 to 1"),
    "choices alike": (changed("warm: 1, neutral: 0.5", "warm: 0, neutral: 0"), 11, "all its choices are worth the same"),
    "a choice named no": (changed("cold: 0", "no: 0"), 11, "got False; expected text, in quotes"),
    "an id of two words": (changed("id: tone", "id: the tone"), 11, "criteria.2.id: string should match pattern"),
    "an id twice": (changed("id: tone", "id: jargon"), 2, "several are called 'jargon'"),
    "an empty check": (changed("{max_words: 120}", "{}"), 12, "asks for nothing; expected one or more of max_words"),
    "a check with a question": (changed("{id: short,", "{id: short, ask: \"Is it short?\","), 12, "a check takes no ask"),
    "bounds that cross": (changed("max_words: 120", "max_chars: 3, min_chars: 4"), 12, "min_chars is 4 and max_chars 3, so no"),
    "a bad pattern": (changed("max_words: 120", "pattern: '(a'"), 12, "the pattern '(a' cannot be used"),
    "a pattern that looks around": (changed("max_words: 120", "pattern: '(?<=a)b'"), 12, "RE2 knows no look-around"),
    "no such schema": (changed("reply.schema", "none"), 13, "none.json: cannot be read: No such file"),
    "no such module": (changed("max_words: 120", "python: 'nowhere:f'"), 12, "cannot import nowhere:f"),
    "no such function": (changed("max_words: 120", "python: 'os:nothing'"), 12, "cannot import os:nothing"),
    "no function": (changed("max_words: 120", "python: 'os:name'"), 12, "check 'os:name' is str; expected"),
    "a language in words": (changed("max_words: 120", "language: English"), 12, "got language: English; expected one of af, als"),
    "a share above 1": (changed("pass: 0.7", "pass: 70"), 14, "pass: got 70; expected a share of the points, 0 to 1"),
    "no criteria": ("name: a\ncriteria: []\n", 2, "criteria: a list should have at least 1 item"),
    "a language that is none": (changed("max_words: 120", "language: xx"), 12, "got language: xx; expected one of af"),
    "Norwegian": (changed("max_words: 120", "language: no"), 12, "check.language: got False; expected text, in quotes"),
    "a schema that is a list": (changed("reply.schema.json", "[1]"), 13, "check.json_schema: got [1]; expected the name"),
    "a schema without end": (changed("reply.schema.json", "/dev/zero"), 13, "JSON schema /dev/zero: longer than 1,048,576"),
    "a schema in a folder": (changed("reply.schema.json", "."), 13, "cannot be read: Is a directory"),
    "a weight of all": (changed("weight: 3", "weight: 1.0e+308"), 5, "weight: got 1e+308; expected at most 1,000,000"),
    "criteria by name": ("name: a\ncriteria: {x: 1}\n", 2, "criteria: expected a list, got"),
    "many choices": (
        changed("cold: 0", ", ".join(f"c{i}: 0" for i in range(99))), 11, "has 101 choices; expected at most 100"
    ),
    "no keys": ("- a\n", 1, "got no keys; expected name: and criteria:"),
    "nothing": ("", 1, "got no keys"),
    "no YAML": (changed("[1, 5]", "[1, 5"), 8, "not YAML"),
}  # fmt: skip


@pytest.mark.parametrize("text, line, said", BAD.values(), ids=BAD)
def test_what_is_wrong_is_one_sentence_with_the_line(text, line, said, tmp_path):
    path = written(tmp_path, text)
    with pytest.raises(InputError) as error:
        Rubric.load(path)
    if text:
        assert str(error.value).startswith(f"{path}, line {line}: "), str(error.value)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_schema_that_cannot_be_is_named(tmp_path):
    path = written(tmp_path)
    (tmp_path / "reply.schema.json").write_text('{"type": "nonsense"}')
    with pytest.raises(InputError, match="line 13: criterion 'valid': the JSON schema cannot be used"):
        Rubric.load(path)
    (tmp_path / "reply.schema.json").write_text("{")
    with pytest.raises(InputError, match=r"reply\.schema\.json is not JSON"):
        Rubric.load(path)


def test_a_file_that_is_not_there_is_said_with_the_names_that_are():
    with pytest.raises(InputError, match="No such file"):
        Rubric.load("nothing.yaml")
    for name in ("nothing", "x" * 5000, "a\0b", "summary/"):
        with pytest.raises(InputError, match="none of the shipped names"):
            Rubric.load(name)


@pytest.mark.parametrize("name", shipped_names())
def test_the_shipped_rubrics_load(name):
    read = Rubric.load(name)
    assert read.name == name
    assert len(read.criteria) >= 4 and any(criterion.gate is not None for criterion in read.criteria)
