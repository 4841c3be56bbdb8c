"""Checks that need no model: what each finds, and that none invents a value."""

from time import process_time

import pytest

from judges.judging import item
from spct.rubrics import Check

SCHEMA = {"type": "object", "required": ["reply"]}


def checked(response, **asked):
    return Check(asked).run(item(1), response)


@pytest.mark.parametrize("asked, response, value, said", [
    ({"max_words": 2}, "two words", 1, "2 words, at most 2"),
    ({"max_words": 2}, "here are three", 0, "3 words, at most 2"),
    ({"min_words": 3}, "here are three", 1, "3 words, at least 3"),
    ({"min_words": 3}, "", 0, "0 words, at least 3"),
    ({"max_chars": 3}, "äöü", 1, "3 characters, at most 3"),
    ({"min_chars": 4}, "äöü", 0, "3 characters, at least 4"),
    ({"pattern": "[0-9]+"}, "room 101", 1, "the pattern is found"),
    ({"pattern": "^[0-9]+$"}, "room 101", 0, "the pattern is not found"),
    ({"no_pattern": "(?i)as an ai"}, "As an AI model", 0, "the pattern is found"),
    ({"json_schema": SCHEMA}, '{"reply": 1}', 1, "valid"),
    ({"json_schema": SCHEMA}, '{"answer": 1}', 0, 'not valid: "reply" is a required property'),
    ({"language": "fr"}, "Bonjour tout le monde, comment allez-vous aujourd'hui ?", 1, "the language is fr"),
    ({"language": "en"}, "Guten Morgen, wie geht es Ihnen heute?", 0, "the language is de"),
    ({"max_words": 5, "pattern": "a"}, "b", 0, "1 word, at most 5; the pattern is not found"),
])  # fmt: skip
def test_a_check_says_what_it_found(asked, response, value, said):
    found = checked(response, **asked)
    assert (found.value, found.said) == (value, said)


def test_what_is_not_json_is_said():
    found = checked("```json\n{}\n```", json_schema=SCHEMA)
    assert found.value == 0 and found.said.startswith("not JSON: ")


@pytest.mark.parametrize("gives, value", [("True", 1.0), ("False", 0.0), ("0.25", 0.25), ("len(response) > 3", 1.0)])
def test_a_function_of_ones_own_is_asked(gives, value, tmp_path):
    (tmp_path / "own.py").write_text(f"def polite(item, response):\n    return {gives}\n")
    assert checked("please", python=f"{tmp_path}/own.py:polite").value == value


@pytest.mark.parametrize("gives, said", [
    ("1 / 0", "raised ZeroDivisionError: division by zero"),
    ("__import__('sys').exit(3)", "raised SystemExit: 3"),
    ("2", "gave 2; expected True, False or a number from 0 to 1"),
    ("float('nan')", "gave nan; expected"),
    ("None", "raised TypeError"),
])  # fmt: skip
def test_a_function_that_cannot_say_gives_no_value(gives, said, tmp_path):
    (tmp_path / "own.py").write_text(f"def polite(item, response):\n    return {gives}\n")
    found = checked("please", python=f"{tmp_path}/own.py:polite", max_words=5)
    assert found.value is None and said in found.said


def test_a_text_without_words_has_no_language():
    assert checked("42 + 1 = 43", language="en").value is None


@pytest.mark.parametrize(
    "asked", [{"pattern": "a"}, {"language": "en"}, {"json_schema": SCHEMA}, {"max_words": 9}], ids=str
)
def test_half_a_character_cannot_be_checked(asked):
    found = checked("hello \ud83d you", **asked)
    assert (found.value, found.said) == (None, "the response has half a character (a lone surrogate)")


def test_patterns_take_time_linear_in_the_text():
    evil = "a" * 200_000 + "!"
    begun = process_time()
    assert checked(evil, pattern="^(a+)+$").value == 0
    assert checked(f'{{"reply": "{evil}"}}', json_schema={"properties": {"reply": {"pattern": "^(a|a)*$"}}}).value == 0
    assert process_time() - begun < 5  # a backtracking engine would take longer than the universe
