"""Expected scores against brute-force enumeration of toy autoregressive distributions, and on a real tokenizer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from math import log
from pathlib import Path
from typing import Any

import pytest

from spct.templates.readers.box import number_slots, one_hot
from spct.templates.readers.labels import Labels
from spct.templates.readers.scale import Scale
from spct.types import Slot, TokenLogprob
from spct.voting.expected import ExpectedScores, expected_scores

Next = Callable[[str], Mapping[str, float]]
"""The next token's distribution after a text."""


def tokens_of(pieces: list[str], following: Next) -> tuple[TokenLogprob, ...]:
    text, tokens = "", []
    for piece in pieces:
        options = following(text)
        top = tuple((string, log(p)) for string, p in sorted(options.items(), key=lambda o: -o[1]))
        tokens.append(TokenLogprob(piece, log(options[piece]), top))
        text += piece
    return tuple(tokens)


def read(pieces: list[str], following: Next, **options: Any) -> ExpectedScores:
    text = "".join(pieces)
    begin, end = text.rindex("{") + 1, text.rindex("}")
    return in_box(text, tokens_of(pieces, following), (begin, end), **options)


def in_box(text: str, tokens: Sequence[TokenLogprob] | None, box: tuple[int, int], **options: Any) -> ExpectedScores:
    """The expected scores of the numbers from 1 to 10 that stand in a box."""
    return expected_scores(text, tokens, number_slots(text, box, Scale(1, 10), ("}",)), **options)


def certain_but(at: Mapping[str, Mapping[str, float]], pieces: list[str]) -> Next:
    """Follow ``pieces`` with certainty except after the texts named in ``at``."""
    paths = {"".join(pieces[:i]): {piece: 1.0} for i, piece in enumerate(pieces)}
    return lambda text: at.get(text) or paths[text]


def enumerate_score(following: Next, text: str) -> tuple[dict[int, float], float]:
    """Walk every path from ``text`` to the end of one number; return mass per score, and outside."""
    masses: dict[int, float] = {}
    outside = 0.0

    def walk(number: str, probability: float) -> None:
        nonlocal outside
        for token, share in following(text + number).items():
            found = re.fullmatch(r"\s*(\d*)(.*)", token if number == "" else number + token, re.DOTALL)
            assert found
            digits, tail = found.groups()
            if tail or not digits:
                if digits and 1 <= int(digits) <= 10 and tail[0] in ",}":
                    masses[int(digits)] = masses.get(int(digits), 0.0) + probability * share
                else:
                    outside += probability * share
            elif len(digits) > 2:
                outside += probability * share
            else:
                walk(number + token, probability * share)

    walk("", 1.0)
    return masses, outside


def digit_wise(text: str) -> Mapping[str, float]:
    if text.endswith("{"):
        return {"1": 0.5, "8": 0.2, "9": 0.2, "x": 0.1}
    if text.endswith("{1"):
        return {"0": 0.7, "}": 0.2, "5": 0.1}
    return {"}": 1.0}


def test_ten_in_two_tokens_is_split_by_the_next_token_as_enumeration_says() -> None:
    got = read(["{", "1", "0", "}"], lambda text: digit_wise(text) if text else {"{": 1.0})
    masses, outside = enumerate_score(digit_wise, "{")
    assert masses == pytest.approx({1: 0.1, 10: 0.35, 8: 0.2, 9: 0.2})
    assert got.expected_N == pytest.approx((sum(s * p for s, p in masses.items()) / sum(masses.values()),))
    assert got.outside_N == pytest.approx((outside,))
    assert got.ambiguous_N == (0.0,)
    assert got.low_N == got.high_N == got.expected_N


def test_a_sampled_lone_one_is_split_just_the_same() -> None:
    got = read(["{", "1", "}"], lambda text: digit_wise(text) if text else {"{": 1.0})
    assert got.expected_N == pytest.approx(((0.1 * 1 + 0.35 * 10 + 0.2 * 8 + 0.2 * 9) / 0.85,))


def test_an_unsampled_lone_one_is_ambiguous_left_out_and_bounded() -> None:
    got = read(["{", "8", "}"], certain_but({"{": {"8": 0.6, "9": 0.2, "1": 0.2}}, ["{", "8", "}"]))
    assert got.expected_N == pytest.approx(((0.6 * 8 + 0.2 * 9) / 0.8,))
    assert got.ambiguous_N == pytest.approx((0.2,))
    assert got.outside_N == pytest.approx((0.0,), abs=1e-12)
    assert got.low_N == pytest.approx((0.6 * 8 + 0.2 * 9 + 0.2 * 1,))
    assert got.high_N == pytest.approx((0.6 * 8 + 0.2 * 9 + 0.2 * 10,))


def test_the_bounds_hold_what_enumeration_says() -> None:
    def following(text: str) -> Mapping[str, float]:
        if not text:
            return {"{": 1.0}
        return {"8": 0.8, "1": 0.2} if text == "{" else {"0": 0.3, "}": 0.7} if text == "{1" else {"}": 1.0}

    got = read(["{", "8", "}"], following)
    masses, _ = enumerate_score(following, "{")
    truth = sum(score * p for score, p in masses.items())
    assert got.low_N[0] < truth < got.high_N[0]


def test_where_ten_is_one_token_a_lone_one_is_one() -> None:
    got = read(["{", "8", "}"], certain_but({"{": {"8": 0.5, "10": 0.3, "1": 0.2}}, ["{", "8", "}"]))
    assert got.expected_N == pytest.approx((8 * 0.5 + 10 * 0.3 + 1 * 0.2,))
    assert got.ambiguous_N == (0.0,)


def test_a_sampled_ten_in_one_token() -> None:
    got = read(["{", "10", "}"], certain_but({"{": {"10": 0.75, "9": 0.25}}, ["{", "10", "}"]))
    assert got.expected_N == pytest.approx((9.75,))


@pytest.mark.parametrize(
    ("pieces", "at"),
    [
        (["{", "8", ",", " 7", "}"], {"{8,": {" 7": 0.75, "3": 0.25}}),
        (["{", "8", ", ", "7", "}"], {"{8, ": {"7": 0.75, "3": 0.25}}),
        (["{", "8", ",7", "}"], {"{8": {",7": 0.75, ", 3": 0.25}}),
        (["{", "8", ",", "7}"], {"{8,": {"7}": 0.75, "3": 0.25}}),
        (["\\boxed{8", ",", "7}."], {"\\boxed{8,": {"7}.": 0.75, " 3}": 0.25}}),
        (["{8,", "7}"], {"{8,": {"7}": 0.75, "3}": 0.25}}),
    ],
)
def test_spaces_and_punctuation_merged_into_the_score_token(pieces: list[str], at: dict[str, dict[str, float]]) -> None:
    got = read(pieces, certain_but(at, pieces))
    assert got.expected_N == pytest.approx((8.0, 7 * 0.75 + 3 * 0.25))
    assert got.outside_N == pytest.approx((0.0, 0.0), abs=1e-12)


def test_a_merged_lead_that_stops_short_is_ambiguous_and_a_wrong_one_outside() -> None:
    pieces = ["{", "8", ",7", "}"]
    got = read(pieces, certain_but({"{8": {",7": 0.8, ",": 0.1, "}": 0.05, "\n": 0.05}}, pieces))
    assert got.expected_N == pytest.approx((8.0, 7.0))
    assert got.ambiguous_N == pytest.approx((0.0, 0.15))
    assert got.outside_N == pytest.approx((0.0, 0.05))
    assert got.low_N[1] == pytest.approx((0.8 * 7 + 0.15 * 1) / 0.95)


def test_fractions_and_numbers_off_the_scale_are_outside() -> None:
    pieces = ["{", "8", "}"]
    got = read(pieces, certain_but({"{": {"8": 0.8, "8.": 0.05, "0": 0.05, "11": 0.05, "8,": 0.05}}, pieces))
    assert got.expected_N == pytest.approx((8.0,))
    assert got.outside_N == pytest.approx((0.2,))


def test_unlisted_mass_is_outside_and_too_much_of_it_gives_no_expectation() -> None:
    pieces = ["{", "8", "}"]
    listed = certain_but({"{": {"8": 0.5, "7": 0.2}}, pieces)
    refused = read(pieces, listed)
    assert refused.expected_N is None
    assert refused.problem is not None and refused.problem.startswith("score 1: 0.70 of the probability")
    got = read(pieces, listed, min_resolved=0.6)
    assert got.expected_N == pytest.approx((5.4 / 0.7,))
    assert got.outside_N == pytest.approx((0.3,))


def test_under_a_grammar_the_share_is_of_what_scores_can_have() -> None:
    pieces = ["{", "8", "}"]
    listed = certain_but({"{": {"A": 0.5, "8": 0.3, "7": 0.1, "x": 0.001}}, pieces)
    assert read(pieces, listed).expected_N is None
    got = read(pieces, listed, constrained=True)
    assert got.expected_N == pytest.approx((3.1 / 0.4,))
    assert got.outside_N == pytest.approx((0.6,))  # reported all the same
    # eight scores unlisted, each with 0.06 at most: 0.4 of up to 0.88
    vague = certain_but({"{": {"A": 0.5, "8": 0.3, "7": 0.1, "x": 0.06}}, pieces)
    refused = read(pieces, vague, constrained=True)
    assert refused.problem is not None and refused.problem.startswith("score 1: 0.45 of the probability")


def test_the_sampled_token_counts_though_it_is_not_among_the_top() -> None:
    tokens = (TokenLogprob("{", 0.0), TokenLogprob("8", log(0.2), (("9", log(0.8)),)), TokenLogprob("}", 0.0))
    assert in_box("{8}", tokens, (1, 2)).expected_N == pytest.approx((8.8,))


def test_an_end_token_after_the_text_and_broken_characters_before_it_do_no_harm() -> None:
    tokens = tuple(TokenLogprob(piece, 0.0) for piece in ["�", "�", "{", "8", "}", "<|im_end|>"])
    assert in_box("é{8}", tokens, (2, 3)).expected_N == (8.0,)


@pytest.mark.parametrize(("after", "problem"), [(1, None), (2, None), (3, "do not spell")])
def test_at_most_two_tokens_may_follow_the_text(after: int, problem: str | None) -> None:
    tokens = tuple(TokenLogprob(piece, 0.0) for piece in ["{", "8", "}", *["<|im_end|>", "<|end|>", "<pad>"][:after]])
    got = in_box("{8}", tokens, (1, 2))
    assert (got.expected_N == (8.0,)) if problem is None else (problem in (got.problem or ""))


def test_white_space_in_the_scores_own_token_ends_it() -> None:
    pieces = ["{", "1 ", "}"]
    got = read(pieces, certain_but({"{": {"1 ": 0.75, "7\n": 0.25}}, pieces))
    assert got.expected_N == pytest.approx((0.75 * 1 + 0.25 * 7,))
    assert got.ambiguous_N == (0.0,)


def test_no_expectation_of_next_to_no_mass_however_little_is_asked_for() -> None:
    tokens = (TokenLogprob("{", 0.0), TokenLogprob("8", -50.0, (("x", 0.0),)), TokenLogprob("}", 0.0))
    got = in_box("{8}", tokens, (1, 2), min_resolved=0.0)
    assert (got.problem or "").startswith("score 1: 0.00 of the probability")


def test_no_expectation_without_matching_log_probabilities() -> None:
    other = (TokenLogprob("{", 0.0), TokenLogprob("9", 0.0), TokenLogprob("}", 0.0))
    both = (TokenLogprob("{", 0.0), TokenLogprob("8,7", 0.0), TokenLogprob("}", 0.0))
    doubled = (TokenLogprob("{", 0.0), TokenLogprob("8", -0.1, (("8", -0.1), ("9", -0.1))), TokenLogprob("}", 0.0))
    assert "top_logprobs" in (in_box("{8}", None, (1, 2)).problem or "")
    assert "do not spell" in (in_box("{8}", other, (1, 2)).problem or "")
    assert in_box("{8,7}", both, (1, 4)).problem == "score 2: another score shares its token"
    assert "add up to 1.81" in (in_box("{8}", doubled, (1, 2)).problem or "")


@pytest.mark.parametrize(
    ("total", "problem"), [(1.008, None), (1.02, "score 1: the listed probabilities add up to 1.02")]
)
def test_listed_probabilities_may_exceed_1_by_what_servers_round(total: float, problem: str | None) -> None:
    top = (("8", log(0.6)), ("9", log(total - 0.6)))
    tokens = (TokenLogprob("{", 0.0), TokenLogprob("8", log(0.6), top), TokenLogprob("}", 0.0))
    assert in_box("{8}", tokens, (1, 2)).problem == problem


def test_a_choice_has_the_expected_scores_of_both_responses() -> None:
    """One word decides about all responses: 0.6 A, 0.3 C for a tie, 0.1 elsewhere."""
    slot = Slot((2, 3), Labels(["A", "C", "B"]).scores(2), ("]",))
    tokens = tokens_of(["[[", "A", "]]"], certain_but({"[[": {"A": 0.6, "C": 0.3, "D": 0.1}}, ["[[", "A", "]]"]))
    got = expected_scores("[[A]]", tokens, [slot])
    assert got.expected_N == pytest.approx(((0.6 + 0.15) / 0.9, 0.15 / 0.9))
    assert got.outside_N == pytest.approx((0.1, 0.1))


def test_a_label_that_begins_another_is_told_apart_by_the_next_token() -> None:
    """A>B and A>>B: the sampled A> goes on, and the alternatives to what came next split it."""
    slot = Slot((2, 5), Labels(["A>>B", "A>B", "B>A", "B>>A"]).scores(2), ("]",))
    pieces = ["[[", "A>", "B", "]]"]
    tokens = tokens_of(pieces, certain_but({"[[": {"A>": 0.8, "B>": 0.2}, "[[A>": {"B": 0.75, ">B": 0.25}}, pieces))
    got = expected_scores("[[A>B]]", tokens, [slot])
    assert got.expected_N == pytest.approx(((0.6 * 2 / 3 + 0.2) / 0.8, (0.6 / 3) / 0.8))
    assert got.ambiguous_N == pytest.approx((0.2, 0.2))
    assert got.low_N == pytest.approx((0.6 * 2 / 3 + 0.2, 0.6 / 3 + 0.2 * 2 / 3))


def test_the_number_of_the_best_has_the_probability_of_each_as_its_expected_scores() -> None:
    tokens = tokens_of(["{", "2", "}"], certain_but({"{": {"2": 0.5, "1": 0.3, "3": 0.2}}, ["{", "2", "}"]))
    got = expected_scores("{2}", tokens, [Slot((1, 2), one_hot(3), ("}",))])
    assert got.expected_N == pytest.approx((0.3, 0.5, 0.2))


@pytest.mark.parametrize(
    ("listed", "constrained", "remedy"),
    [
        ({"8": 0.5, "1": 0.5}, False, "use a scale on which no score begins another, as the template grm-digit"),
        ({"8": 0.5, "1": 0.5}, True, "use a scale on which no score begins another, as the template grm-digit"),
        ({"8": 0.5, "x": 0.5}, False, "turn the grammar on, or raise top_logprobs"),
        ({"8": 0.5, " ": 0.5}, False, "turn the grammar on, or raise top_logprobs"),
        ({"8": 0.1, "7": 0.09}, True, "raise top_logprobs"),
    ],
)
def test_the_remedy_fits_the_cause(listed: dict[str, float], constrained: bool, remedy: str) -> None:
    """A lone 1 that was not sampled may become 10, however many alternatives are listed."""
    got = read(["{", "8", "}"], certain_but({"{": listed}, ["{", "8", "}"]), constrained=constrained)
    assert got.expected_N is None
    assert got.problem is not None and got.problem.endswith(remedy + (" does (0 to 9)" if "grm" in remedy else ""))


def test_on_single_digits_a_lone_one_is_one() -> None:
    tokens = tokens_of(["{", "8", "}"], certain_but({"{": {"8": 0.5, "1": 0.5}}, ["{", "8", "}"]))
    got = expected_scores("{8}", tokens, number_slots("{8}", (1, 2), Scale(0, 9), ("}",)))
    assert got.expected_N == pytest.approx((4.5,))


@pytest.fixture
def smollm2_gguf(request: pytest.FixtureRequest) -> Path:
    try:
        return Path(request.getfixturevalue("smollm2").path)
    except pytest.FixtureLookupError:
        pytest.skip("no fixture gives the SmolLM2 file")


def test_on_the_tokenizer_of_smollm2(smollm2_gguf: Path) -> None:
    """SmolLM2 writes 10 as two tokens and a space as one of its own; the box is found all the same."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(smollm2_gguf.parent, gguf_file=smollm2_gguf.name)
    text = "Critique – fine.\nScores: \\boxed{10, 8, 1}"
    ids = tokenizer(text)["input_ids"]
    pieces = [tokenizer.decode([i]) for i in ids]
    assert "".join(pieces[-3:]).endswith("1}") and "10" not in pieces
    options = {"1": {"1": 0.5, "9": 0.5}, "8": {"8": 0.5, "6": 0.5}, "0": {"0": 0.9, ",": 0.1}}
    tokens = []
    for piece in pieces:
        top = tuple((string, log(p)) for string, p in options.get(piece.strip(), {piece: 1.0}).items())
        tokens.append(TokenLogprob(piece, dict(top).get(piece, 0.0), top))
    begin = text.index("{") + 1
    got = in_box(text, tokens, (begin, len(text) - 1))
    assert got.problem is None
    assert got.expected_N == pytest.approx((0.45 * 10 + 0.05 * 1 + 0.5 * 9, 7.0, 5.0))
