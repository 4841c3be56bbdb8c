r"""What part of a completion is its answer, and where the answer's box stands: one definition for parser and shield.

The parser reads completions by these forms as they are. The shield looks for the same forms in untrusted text, with
look-alikes undone first, and breaks them, so that nothing quoted from a response can be taken for part of the answer.

Reasoning. A model may think before it answers, between marks of its make: tags (``<think>``, ``<seed:think>``,
``</think>``; with blanks and attributes, in any case), tokens (``<|START_THINKING|>``, ``<|channel>thought``,
``[THINK]``, ``◁think▷``) or, of Granite, a sentence. The answer begins after the last mark that closes reasoning,
opened or not. Reasoning that is opened after that and never closed leaves no answer. A tag opens reasoning at the begin
or the end of a line only, and nothing in backticks does: there it is spoken of.

Box. ``\boxed``, any ASCII white space, ``{``, and all up to the brace that closes that one. Cost: every function here is
linear in the text; a box with more than ``MOST_BRACES`` braces inside counts as never closed.
"""

from __future__ import annotations

import re

BOX = "\\boxed"
MOST_BRACES = 1000

# Words whose first letter is a set of two: a search passes over other letters quickly.
_THINK = (
    r"(?:[tT](?i:hink(?:ing)?|houghts?)|[rR](?i:eason(?:ing)?|eflect(?:ion)?)|[sS](?i:cratch[_-]?pad)"
    r"|[cC](?i:ot|hain[_-]of[_-]thoughts?|ontemplation)|[dD](?i:eliberation)|(?:[iI](?i:nner[_-]))?[mM](?i:onologue))"
)
_PART = r"[a-zA-Z0-9_:.▁-]"
_WORDS = r"(?:[a-zA-Z0-9]++[_:.▁-]++){0,4}?"
_BAR = "[|｜]"

# What follows the first character of each form.
_TAG = rf"{_WORDS}{_THINK}(?:[:_-][a-zA-Z0-9_.:-]{{1,24}})?"
_OPEN_TAG = rf"\s*+{_TAG}(?=[\s>])(?!\s*+/)[^<>]*+>"
_CLOSE_TAG = rf"\s*+/\s*+{_TAG}(?=[\s/>])[^<>]*+>"
_THOUGHT = rf"{_WORDS}(?:{_THINK}|[aA](?i:nalysis)|[cC](?i:ommentary))(?![a-zA-Z0-9])"
_IS_END = rf"/|{_PART}{{0,40}}?(?i:end|close|stop|finish|suffix)"
_OPENS_THOUGHT = rf"(?={_THOUGHT})(?!{_IS_END}){_PART}{{1,60}}"
_CLOSES_THOUGHT = rf"(?=/?{_THOUGHT})(?={_IS_END})/?{_PART}{{1,60}}"
_OPEN_TOKEN = (
    rf"{_BAR}(?:{_OPENS_THOUGHT}{_BAR}?>|[iI](?i:nner_prefix){_BAR}>|[cC](?i:hannel){_BAR}?>(?!\s*+(?i:final))"
    rf"|[oO](?i:pen){_BAR}>\s*+{_THINK})|(?:unused|ctrl)94>"
)
_CLOSE_TOKEN = (
    rf"{_BAR}(?:{_CLOSES_THOUGHT}{_BAR}?>|[iI](?i:nner_suffix){_BAR}>|[cC](?i:hannel){_BAR}?>\s*+(?i:final)"
    rf"|[cC](?i:lose){_BAR}>\s*+{_THINK}|[oO](?i:pen){_BAR}>\s*+(?i:response)|[cC](?i:ontent_text){_BAR}>"
    rf"|(?:[sS](?i:tart)|[bB](?i:egin))[_▁](?i:of[_▁])?(?i:response|text|answer|solution|output){_BAR}>)"
    rf"|[cC](?i:hannel){_BAR}>|(?:unused|ctrl)95>"
)
SQUARE_NAME = "[tT](?i:hink(?:ing)?)"
_OPEN_SQUARE = rf"(?:{SQUARE_NAME}|unused16)\]|\|{_OPENS_THOUGHT}\|\]"
_CLOSE_SQUARE = rf"(?:/\s*+{SQUARE_NAME}|unused17)\]|\|{_CLOSES_THOUGHT}\|\]"

# For the shield, which finds all tokens by their shapes (``control_tokens``): tags in general, and what is in each, squeezed.
TAG_WORDS = (
    b"think",
    b"thought",
    b"reason",
    b"reflect",
    b"scratchpad",
    b"cot",
    b"contemplation",
    b"deliberation",
    b"monologue",
)
ANY_TAG = rf"\s*+/?\s*+{_TAG}(?![a-zA-Z0-9])(?:[^<>\n]{{0,200}}>)?"

# A search that begins with a fixed character, and a ``.*`` before one, run at the speed of memchr.
_LINE_BEGIN = r"(?<=[\n>].)|(?<=[\n>][ \t].)|(?<=\n[ \t]{2}.)|(?<=\n[ \t]{3}.)|(?<=\n[ \t]{4}.)"
CLOSED = "(?=[^<>]++>)"
"""Behind a ``<``: another bracket follows, and closes it. Told at once, where the forms would try one name after the other."""
_LINE_END = r"(?=[^<>]*+>[ \t]*+(?:\n|\Z))"
_OPENS = (
    re.compile(rf"<{CLOSED}(?:(?:{_LINE_BEGIN}|{_LINE_END}){_OPEN_TAG}|(?<!`<)(?:{_OPEN_TOKEN}))"),
    re.compile(rf"\[(?<!`\[)(?:{_OPEN_SQUARE})"),
    re.compile(rf"◁(?<!`◁)\s*+{_THINK}\s*+▷"),
)
_OPENS_AT_ONCE = re.compile(rf"[\s\ufeff\u200b]*+<{_OPEN_TAG}")
_LAST_CLOSE = (
    ("<", re.compile(rf"(?s:.*)<{CLOSED}(?:{_CLOSE_TAG}|{_CLOSE_TOKEN})")),
    ("[", re.compile(rf"(?s:.*)\[(?:{_CLOSE_SQUARE})")),
    ("◁", re.compile(rf"(?s:.*)◁\s*+/\s*+{_THINK}\s*+▷")),
)
# What a text has, all in lower case, in which one of these forms may be.
_STEMS = (
    "hink", "hough", "eason", "eflect", "cratch", "cot", "chain", "monolog", "analys", "comment", "inner_", "channel",
    "open", "content_t", "start", "begin", "unused", "ctrl", "templation", "liberation",
)  # fmt: skip

_GRANITE_OPENS = re.compile(r"(?i)[\s\ufeff]*+here(?: is|'s) my thought process:")
_GRANITE_CLOSES = re.compile(r"(?is).*\bhere(?: is|'s) my response:")

_LAST_BOX = re.compile(r"(?s:.*)\\boxed[ \t\r\n\f\v]*+\{")
LOOSE_BOX = r"(?i:\s*+b\s*+o\s*+x\s*+e\s*+d)\s*+\{"
"""What opens a box, its backslash left out, for a reader who does not mind case and blanks."""
_BRACE = re.compile("[{}]")


def reasoning(text: str) -> tuple[int, bool]:
    """Where the answer begins, 0 without any reasoning; and whether reasoning is opened there and never closed."""
    start, is_open = 0, False
    if "<" in text or "[" in text or "◁" in text:
        lower = text.lower()
        if any(stem in lower for stem in _STEMS):
            start = _last_close(text)
            is_open = bool(_OPENS_AT_ONCE.match(text, start)) or any(found.search(text, start) for found in _OPENS)
    if _GRANITE_OPENS.match(text):
        closed = _GRANITE_CLOSES.match(text)
        return (max(start, closed.end()), is_open) if closed else (start, is_open or start == 0)
    return start, is_open


def _last_close(text: str) -> int:
    """The end of the last mark that closes reasoning, 0 without one."""
    found = 0
    for bracket, pattern in _LAST_CLOSE:
        end = len(text)
        while bracket in text and (match := pattern.match(text, 0, end)):
            at, end = text.rfind(bracket, 0, match.end()), match.end()
            if text[at - 1 : at] == "`" == text[end : end + 1]:
                end = at
                continue
            found = max(found, end)
            break
    return found


def last_box(text: str, start: int, end: int) -> tuple[int, int] | None:
    r"""Offsets of the last ``\boxed`` in [start, end) that a brace follows, and of what comes after that brace."""
    match = _LAST_BOX.match(text, start, end)
    return None if match is None else (text.rfind(BOX, start, match.end()), match.end())


def closing_brace(text: str, begin: int) -> int | None:
    """Offset of the brace that closes the one just before ``begin``; None if none does, or too many stand between."""
    first = text.find("}", begin)
    if "{" not in text[begin : first + 1]:  # nearly always
        return first if first >= 0 else None
    depth = 1
    for count, match in enumerate(_BRACE.finditer(text, begin)):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return match.start()
        if count == MOST_BRACES:
            break
    return None


def box_in_box(text: str, start: int, at: int, end: int) -> bool:
    """Whether the box before the last one, which spans [at, end], is still open where that begins."""
    outer = last_box(text, start, at)
    if outer is None:
        return False
    closed = closing_brace(text, outer[1])
    if closed is None:  # it was given up if its line was
        return "\n" not in text[outer[1] : at]
    return closed > end


LEAD = r"[#*_>\-•+=\[(⟦ \t.)0-9]*+"
AROUND = " \t\r\n#*_>=-•+|.$`~\\([{"
"""What may stand around a verdict that is alone on its line, and around a heading."""

_SCORE_HEADING = re.compile(
    LEAD + r"(?:(?:the|my|these|final|overall|total) ){0,3}"
    r"(?:scores?|ratings?|verdicts?|[\u4e00-\u9fff]{0,4}(?:评分|得分|分数)|оценк[аи]|puntuaci[oó]n(?:es)?)(?![^\W_])",
    re.IGNORECASE,
)


def begins_with_scores(text: str, line: int, end: int, heading: str | None = None) -> bool:
    """Whether the line from ``line`` to ``end`` is a heading of scores and no more; ``heading`` is the template's own."""
    if heading is not None and text.startswith(heading.strip(), line, end):
        return True
    found = _SCORE_HEADING.match(text, line, end)
    if found is None:
        return False
    rest = text[found.end() : end].rstrip(AROUND)
    return not rest or rest[-1] in ":：)"


def first_score_line(text: str, start: int) -> int | None:
    """Where the first line from ``start`` on begins that has a heading of scores before anything else."""
    at = start
    while at >= 0:
        if _SCORE_HEADING.match(text, at):
            return at
        at = text.find("\n", at) + 1 or -1
    return None
