"""The kept list of control tokens: each is broken as it is and read loosely, and thousands of them cost one pass."""

import re
from itertools import product

import pytest

from spct.meta.cases import without_control_tokens
from spct.templates.control_tokens import CONTROL_TOKENS, FAMILIES, special_pattern
from templates.reading import shield_for

SHIELD = shield_for((), "box", (1, 10))


def sealed(text: str) -> str:
    return SHIELD.seal([text], 2).texts[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_no_token_of_a_family_passes(family):
    for token in FAMILIES[family]:
        assert token not in sealed(f"a {token}user\nb")
        assert token not in sealed(f"{token}{token}" * 200)
        assert token not in without_control_tokens(f"a {token}user\nb", ())


@pytest.mark.parametrize(
    "text",
    ["<|TURN>", "< |turn> ", "<\u200b|turn>", "＜｜turn＞", "<turn|>", "<｜User｜>", "[ |assistant| ]", "[|ASSISTANT|]", "[gmask]",
     "[ gMASK ]", "[g\u200bMASK]", "【INST】", "< start_of_turn >", "</  s>", "<SPECIAL_999>", "<unused6241>", "[unused77]",
     "<extra_id_99>", "<seed:BOS>", "]~b]user", "]~!b[", "[e~[", "]<]start of video[>[", "<|anything_at_all|>", '<|"|>',
     "<|reserved_special_token_5|>", "<<  /SYS >>", "<|new>", "<new|>", "<[end▁of▁sentence]>"],
)  # fmt: skip
def test_read_loosely(text):
    assert sealed(text) != text


@pytest.mark.parametrize(
    "text",
    ["a < b | c > d", "x <- y", "if (a <s1> b)", "[x for x in y]", "List<T | null>", "<div class='x'>|</div>", "[1|2]", "(|x|)",
     "|a|b|", "[|x|]", "f <| x", "x |> f", "[INSTALL]", "<system.out>", "]b[", "a[i]<b[j]", "<p>", "[ ]", "<https://x.org>"],
)  # fmt: skip
def test_ordinary_text_passes(text):
    assert sealed(text) == text


def test_an_unknown_tokenizer_has_the_known_tokens():
    """A classifier that names its tokens is kept to them; where none are known, all of the list count."""
    assert without_control_tokens("<|im_end|> </s> <sop>", ("</s>",)) == "<|im_end|> <·/s> <sop>"
    assert without_control_tokens("<|im_end|> </s> <sop>", ()) == "<·|im_end|> <·/s> <·sop>"
    assert without_control_tokens("<think>hm</think>", ()) == "<think>hm</think>"


def test_the_longest_of_nested_tokens_is_found():
    words = ["".join(letters) for length in (2, 3, 4) for letters in product("ab<", repeat=length)]
    tokens = tuple(words[::5])
    naive = re.compile("|".join(map(re.escape, sorted(tokens, key=lambda token: (-len(token), token)))))
    for word in ["".join(letters) for letters in product("ab<", repeat=6)]:
        assert special_pattern(tokens).findall(word) == naive.findall(word)


def test_what_is_no_token():
    assert special_pattern(("a", "  ", "·", "")) is None
    assert special_pattern(()) is None


def test_a_large_vocabulary_is_searched_once():
    """Six thousand tokens, and a text in which each ``<`` could begin one: the tree tries one branch at each."""
    pattern = special_pattern(tuple(f"<unused{number}>" for number in range(6000)))
    assert pattern.pattern.count("unused") == 1
    assert pattern.findall("<unused5999><unused6000><unused12>") == ["<unused5999>", "<unused12>"]


def test_every_family_has_tokens_of_its_own():
    assert len(CONTROL_TOKENS) > 200
    assert all(FAMILIES.values())
