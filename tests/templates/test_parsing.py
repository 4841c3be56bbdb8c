"""Completions to scores: exact cases, the whole corpus, and nothing invented whatever the text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spct.templates import load_template
from spct.templates.parsing import parse_text
from templates.reading import parse_index, parse_scores
from templates.template_corpus import Output, generated_outputs, load_outputs

CASES = load_outputs()


def check(case: Output) -> None:
    parsed = load_template(case.template).parse(case.text, case.n, case.finish)
    got = parsed.scores if parsed.problem is None else parsed.problem.code
    assert got == (case.problem if case.scores is None else case.scores), case
    assert (parsed.scores is None) != (parsed.problem is None)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_handwritten_corpus(case):
    check(case)


def test_generated_corpus_of_two_thousand():
    cases = list(generated_outputs(2000, seed=7))
    for case in cases:
        check(case)
    assert sum(case.scores is not None for case in cases) == 1000
    assert {case.problem for case in cases} == {
        None, "wrong_count", "out_of_range", "not_integer", "truncated", "no_box",
    }  # fmt: skip


def test_generator_repeats():
    assert list(generated_outputs(50, seed=3)) == list(generated_outputs(50, seed=3))


def test_box_span_is_in_the_original_text():
    text = "<think>\\boxed{1, 1}</think>\u200b\U0001f389 İ\n#### Scores\n\\boxed{ 8 , 7 }\n"
    parsed = parse_scores(text, 2, (1, 10))
    assert parsed.scores == (8, 7)
    assert parsed.span is not None
    assert text[slice(*parsed.span)] == "\\boxed{ 8 , 7 }"


def test_details_say_got_and_expected():
    assert parse_scores("\\boxed{8, 7, 3}", 2, (1, 10)).problem.detail == (
        "the box holds '8, 7, 3': 3 integers, expected 2 integers from 1 to 10"
    )
    assert parse_scores("\\boxed{7.5, 8}", 2, (1, 10)).problem.detail == (
        "the box holds '7.5, 8'; '7.5' is no plain integer, expected 2 integers from 1 to 10"
    )
    assert parse_scores("\\boxed{11, 8}", 2, (1, 10)).problem.detail == (
        "the box holds '11, 8'; expected 2 integers from 1 to 10"
    )
    assert parse_scores("no", 1, (0, 1)).problem.detail == (
        "the answer has no \\boxed{...}; expected 1 integer from 0 to 1 in one"
    )
    assert parse_scores("", 1, (0, 1), "length").problem.detail == (
        "the completion is empty (it stopped at the token limit)"
    )


ANALYSIS = "#### Analysis\nResponse 1 is right.\n"


@pytest.mark.parametrize(
    "end",
    [
        "#### Scores\n\\boxed{8, 7}",
        "#### Scores\n\n$$\n\\boxed{8, 7}\n$$\n",
        "#### Scores\n```\n\\boxed{8, 7}\n```",
        "#### Scores\n(the scores of responses 1 to 2, in one box) \\boxed{8, 7}",
        "Scores: \\boxed{8, 7}",
        "**Overall scores:** \\boxed{8, 7}",
        "Final Verdict\n> \\boxed{8, 7}",
        "评分：\\boxed{8, 7}",
        "\n\\boxed{8, 7}",
        "```\n\\boxed{8, 7}\n```",
        "- **\\boxed{8, 7}**",
        "Noten: \\boxed{8, 7}",
    ],
)
@pytest.mark.parametrize("finish", ["length", "other"])
def test_what_was_cut_off_behind_its_answer_counts(end, finish):
    assert parse_scores(ANALYSIS + end, 2, (1, 10), finish, heading="Noten:").scores == (8, 7)


@pytest.mark.parametrize(
    "end",
    [
        "It ends in \\boxed{8, 7}",
        'Response 1 says "\\boxed{8, 7}"',
        "Response 1 says:\n\\boxed{8, 7}",
        "Response 1 says:\n\n> \\boxed{8, 7}",
        "Response 1：\n```\n\\boxed{8, 7}\n```",
        "It reads\n```\nI am great.\n\\boxed{8, 7}",
        "It reads\n~~~ text\nI am great.\n\n\\boxed{8, 7}\n",
        "A draft:\n\\boxed{8, 7}",
        "The response scores \\boxed{8, 7}",
        "Scores that it asks for are \\boxed{8, 7}",
        "Noten: \\boxed{8, 7}",
        "#### Scores\n\\boxed{8, 7}\nHowever",
        "#### Scores\nFirst \\boxed{8, 7}",
    ],
)
@pytest.mark.parametrize("finish", ["length", "other"])
def test_what_was_cut_off_elsewhere_does_not(end, finish):
    parsed = parse_scores(ANALYSIS + end, 2, (1, 10), finish, heading="#### Scores")
    assert parsed.problem is not None
    assert parsed.problem.code == "truncated"
    assert parse_scores(ANALYSIS + end, 2, (1, 10)).scores == (8, 7)


def test_a_cut_answer_of_its_own_heading():
    """A template says what its scores begin with; other templates do not know that heading."""
    text = "Anmerkung: gut.\nUrteil \\boxed{2}"
    assert parse_index(text, 3, "length", heading="Urteil").scores == (0, 1, 0)
    assert parse_index(text, 3, "length").problem.detail == (
        "the completion was cut off before its answer section was complete (its last \\boxed{...} is neither alone on its line "
        "nor under a heading of scores, or in a quotation); raise max_tokens if that was the limit"
    )


@pytest.mark.parametrize("sections", [True, False])
def test_a_box_in_a_box_that_is_never_closed_is_no_verdict_unless_a_line_ends_between_them(sections):
    nested = parse_scores("so \\boxed{the scores are \\boxed{8, 7}", 2, (1, 10), sections=sections)
    assert (nested.scores, nested.problem.code) == (None, "not_integer")
    assert nested.problem.detail == "a box inside a box: '8, 7'"
    begun_again = parse_scores("so \\boxed{the scores\nare \\boxed{8, 7}", 2, (1, 10), sections=sections)
    assert begun_again.scores == (8, 7)


@pytest.mark.parametrize("head", ["### Specific Criteria:", "**Specific Criteria**", "1. Specific criteria\n"])
@pytest.mark.parametrize("body", ["### Analysis:", "**Analysis:**", "2) Analysis\n", "#### Critique"])
@pytest.mark.parametrize("tail", ["### Scores:", "**Overall:**", ""])
def test_sections(head, body, tail):
    critique = "The first is right.\nThe second is not."
    text = f"{head}\nAccuracy (60%)\nTone (40%)\n\n{body}\n{critique}\n\n{tail} \\boxed{{9, 2}}"
    parsed = parse_scores(text, 2, (1, 10))
    assert parsed.principles == "Accuracy (60%)\nTone (40%)"
    assert parsed.critique == "The first is right.\nThe second is not."
    assert parsed.scores == (9, 2)


def test_sections_without_headings():
    parsed = parse_scores("The first is better. \\boxed{9, 2}", 2, (1, 10))
    assert (parsed.principles, parsed.critique) == ("", "The first is better.")


def test_index_is_one_hot():
    assert parse_index("\\boxed{3}", 4).scores == (0, 0, 1, 0)


def test_a_text_is_what_follows_its_heading():
    written = "<think>hm</think>\n#### Specific Criteria\n1. Accuracy (60%)\n2. Tone (40%)\n"
    assert parse_text(written).text == written.removeprefix("<think>hm</think>\n").strip()
    assert parse_text("42").text == "42"
    assert parse_text("**Points (all)**:\n1. The sum", heading="#### Points (all)").text == "1. The sum"
    parsed = parse_text(written, heading="#### Specific Criteria")
    assert parsed.text == "1. Accuracy (60%)\n2. Tone (40%)"
    assert (parsed.scores, parsed.problem, parsed.span) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "finish", "code"),
    [
        ("", "stop", "empty"),
        ("#### Specific Criteria\n", "stop", "empty"),
        ("1. 2. 3.", "stop", "empty"),
        ("<think>Accuracy", "stop", "no_answer"),
        ("1. Accuracy (6", "length", "truncated"),
    ],
)
def test_text_problems(text, finish, code):
    assert parse_text(text, finish, "#### Specific Criteria").problem.code == code


PIECES = ["\\boxed", "{", "}", "8", "7", ", ", "\n", "<think>", "</think>", "11", ".5", "０", "٣", "x", " ", "\\"]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), st.sampled_from(["stop", "length", "other"]))
def test_never_invents(text, finish):
    parsed = parse_scores(text, 2, (1, 10), finish)
    assert (parsed.scores is None) != (parsed.problem is None)
    if parsed.scores is not None:
        written = re.fullmatch(r"\\boxed\s*\{\s*([0-9]+)\s*,\s*([0-9]+)\s*\}", text[slice(*parsed.span)], re.ASCII)
        assert written is not None
        assert parsed.scores == tuple(map(int, written.groups()))


@given(st.text(max_size=200), st.integers(1, 4))
def test_any_text_is_answered(text, n):
    for template in ("grm", "judge", "principles"):
        load_template(template).parse(text, n)


def test_the_quick_reading_finds_what_the_careful_one_does():
    """``sections=False``, as the judge parses, gives the same scores, problem and box on the whole corpus."""
    plain = 0
    for output in [*load_outputs(), *generated_outputs()]:
        template = load_template(output.template)
        quick = template.parse(output.text, output.n, output.finish, sections=False)
        careful = template.parse(output.text, output.n, output.finish)
        assert (quick.scores, quick.problem, quick.span) == (careful.scores, careful.problem, careful.span), output.id
        plain += quick.scores is not None
    assert plain > 500
