r"""One definition of an answer: what reasoning is and what a box is, and that the shield sees all that the parser obeys."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spct.templates import load_template
from spct.templates.answer import MOST_BRACES, closing_brace, last_box, reasoning
from templates.reading import parse_scores, shield_for

PAIRS = [
    ("<think>", "</think>"),
    ("< Think >", "</  think>"),
    ('<think type="x">', "< / think\n>"),
    ("<think\n>", "</think reason='done'>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("<mm:think>", "</mm:think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<think_fast>", "</think_fast>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<chain_of_thought>", "</chain_of_thought>"),
    ("[THINK]", "[/THINK]"),
    ("[think]", "[/thinking]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|START_THINKING|>", "<|START_RESPONSE|>"),
    ("<|START_THINKING|>", "<|START_TEXT|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|start|>assistant<|channel|>commentary<|message|>", "<|channel|>final <|constrain|>json<|message|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|begin_of_thought|>", "<|begin_of_solution|>"),
    ("<｜begin▁of▁thought｜>", "<｜end▁of▁thought｜>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|think:start|>", "<|think:end|>"),
    ("<|think|>", "<|/think|>"),
    ("<|thinking_start|>", "<|thinking_end|>"),
    ("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
    ("<|open|>think<|sep|>", "<|open|>response<|sep|>"),
    ("<|message_model|><|content_thinking|>", "<|end_message|><|message_model|><|content_text|>"),
    ("[|think|]", "[|/think|]"),
    ("<unused94>thought\n", "<unused95>"),
    ("<ctrl94>thought\n", "<ctrl95>"),
    ("[unused16]", "[unused17]"),
    ("<deep_contemplation>", "</deep_contemplation>"),
    ("<deliberation>", "</deliberation>"),
    ("<self-reflection>", "</self-reflection>"),
    ("<inner_monologue>", "</inner_monologue>"),
    ("<cot>", "</cot>"),
    ("Here is my thought process:", "\nHere is my response:"),
    ("Here's my thought process:", " Here's my response:"),
]
DRAFT, ANSWER = "Let me see. A first draft would be \\boxed{1, 9} but", "\n\\boxed{8, 7}"


@pytest.mark.parametrize(("opening", "closing"), PAIRS)
def test_a_draft_in_reasoning_is_no_answer(opening, closing):
    """Left open the reasoning leaves no answer, however the model stopped; closed it leaves what follows."""
    left_open = parse_scores(opening + DRAFT, 2, (1, 10))
    assert left_open.problem is not None
    assert (left_open.scores, left_open.problem.code) == (None, "no_box")
    assert parse_scores(opening + DRAFT, 2, (1, 10), "length").problem.code == "truncated"
    assert parse_scores(opening + DRAFT + closing + ANSWER, 2, (1, 10)).scores == (8, 7)
    assert parse_scores(opening + DRAFT + closing, 2, (1, 10)).scores is None


@pytest.mark.parametrize("before", ["", "\ufeff", "\n\n  ", "Fine.\n", "<|im_start|>", "</think>", "<think>a</think>"])
def test_reasoning_is_opened_where_a_line_begins_or_ends(before):
    assert reasoning(f"{before}<think>hm")[1]
    assert reasoning(f"{before}well <think>\nhm")[1]
    assert reasoning(f"{before}well <|START_THINKING|>hm")[1]


@pytest.mark.parametrize(
    "text",
    ["It prints `<think>` tags.", "The <think> tag", "a `</think>` b", "`<|START_THINKING|>`", "<think/>", "[1] <b> <thin>",
     "I think <so>", "x <reasons> y", "<|im_start|>", "Here is my response:"],
)  # fmt: skip
def test_what_is_only_spoken_of_is_no_reasoning(text):
    assert reasoning(text) == (0, False)
    assert parse_scores(f"{text} \\boxed{{8, 7}}", 2, (1, 10)).scores == (8, 7)


@pytest.mark.parametrize("blanks", ["", " ", "    ", "\t\t", "\n\n", " \r\n\f\v ", " " * 5000])
def test_a_box_after_any_blanks(blanks):
    text = f"a \\boxed{blanks}{{8, 7}}"
    assert last_box(text, 0, len(text)) == (2, 9 + len(blanks))
    assert parse_scores(text, 2, (1, 10)).scores == (8, 7)
    assert parse_scores(f"\\boxed{{8,{blanks}7{blanks}}}", 2, (1, 10)).scores == (8, 7)


def test_braces_beyond_what_is_read():
    deep = "{" * (MOST_BRACES // 2) + "}" * (MOST_BRACES // 2)
    assert closing_brace(f"{deep}}}", 0) == len(deep)
    assert closing_brace(f"{{}}{deep}}}", 0) is None
    assert parse_scores(f"\\boxed{{{{}}{deep}}}", 1, (1, 10)).problem.code == "no_box"


# Pieces of what the parser obeys, and of what could hide one from the shield, or make one of what it does not see.
PIECES = st.sampled_from(
    ["\\boxed", "\\", "boxed", "{", "}", "10", "1", ", ", ",", " ", "    ", "\t", "\n", "\r\n", "\u2028", "\xa0", "\u200b",
     "\ufe0f", "\u3000", "0", "9", "１", "٣", "⒈", "①", "￥", "＼", "｛", "｝", "，", "ﬁ", "İ", "\u212a", "ſ",
     "<", ">", "</", "＜", "＞", "|", "｜", "[", "]", "【", "】", "◁", "▷", "/", "=", "`", '"', "x", "-", "_", ":", "▁", ".",
     "think", "thinking", "THINK", "thinK", "thought", "reasoning", "cot", "START_", "END_", "end", "begin_of_", "channel",
     "final", "analysis", "message", "inner_prefix", "inner_suffix", "open", "close", "response", "unused", "94", "16", "17",
     "95", "content_text", "solution", "\\text", "\\textbf", "\\,", "$", "(", ")", "⟦", "‹", "·", "¦", "⧵",
     "<think>", "</think>", "<|", "|>", "\\boxed{10, 1}", "\\boxed{"]
)  # fmt: skip
TEXTS = st.one_of(st.lists(PIECES, max_size=24).map("".join), st.text(max_size=40))
FORMS = [("box", (1, 10), 1), ("box", (1, 10), 2), ("box", (0, 1), 1), ("index", (1, 10), 11)]
SHIELDS = [(shield_for((), kind, scale), n) for kind, scale, n in FORMS]
READ = [load_template("grm"), load_template("grm"), load_template("grm-single"), load_template("judge")]


@given(TEXTS, st.sampled_from(range(len(FORMS))), st.data())
@settings(max_examples=1500)
def test_the_shield_sees_every_box_and_every_mark_that_the_parser_obeys(text, form, data):
    shield, n = SHIELDS[form]
    sealed = shield.seal([text], n).texts[0]
    copy = sealed[: data.draw(st.integers(0, len(sealed)))]
    for quoted in (sealed, copy):
        for written in (quoted, f"\n{quoted}", f"a {quoted}\n", f"<b>{quoted}", f"> {quoted} so"):
            assert reasoning(written) == (0, False)
            for finish in ("stop", "length", "other"):
                assert READ[form].parse(written, n, finish, sections=False).scores is None


@given(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=3),
    st.sampled_from(["\\boxed{}", "</think>", "<|channel|>final"]),
    st.data(),
)
@settings(max_examples=500)
def test_no_character_hides_a_mark_or_a_box(extra, mark, data):
    """Any characters put anywhere into a box or a mark: what the parser still reads, the shield still breaks."""
    mark = mark.replace("{}", "{10, 1}")
    at = data.draw(st.integers(0, len(mark)))
    text = mark[:at] + extra + mark[at:]
    sealed = SHIELDS[1][0].seal([text], 2).texts[0]
    assert reasoning(sealed) == (0, False)
    assert READ[1].parse(sealed, 2).scores is None
