r"""From a completion to scores, or to the reason there are none. Nothing is invented, clamped, rounded or defaulted.

The answer is what follows the reasoning block, if there is one (``<think>...</think>`` and its kin; a closing tag ends
whatever reasoning came before it, opened or not; a block that is opened at the start of a line and never closed leaves
no answer). Of the answer the LAST ``\boxed{...}`` is read, wherever it stands: in a fence, after a heading, in dollars.
It must hold exactly n ASCII integers inside the scale, separated by ASCII commas, with ASCII white space allowed around
them. All else is a ``Problem``, among it: ``7.5``, ``8/10``, ``eight``, ``08``, ``+8``, ``[8, 7]``, ``\text{8, 7}``,
``8，7``, digits of other scripts, labels, a trailing comma, LaTeX spaces, a box in a box, a last box never closed.

A completion that did not stop by itself counts only if nothing but closing punctuation follows its box: what was cut
off might have held another one. Spans are offsets in the completion as given.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

from spct.types import FinishReason, Problem, ProblemCode

AnswerKind = Literal["scores", "index", "principles"]

BOX = "\\boxed"
_SHOWN_CHARS = 60
_NAMES = "think|thinking|thoughts?|reason|reasoning|reflection|scratchpad|seed:think"
_CLOSE = re.compile(rf"</\s*(?:{_NAMES})\s*>|\[/THINK\]|◁/think▷|<\|channel\|>final<\|message\|>", re.IGNORECASE)
_OPEN = re.compile(
    rf"(?:\A|\n)[ \t]*(?:<(?:{_NAMES})(?:\s[^<>\n]*)?>|\[THINK\]|<\|channel\|>(?:analysis|commentary))|\A\s*◁think▷",
    re.IGNORECASE,
)
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_PLAIN = re.compile(r"(?:0|[1-9][0-9]{0,3})(?:, ?(?:0|[1-9][0-9]{0,3}))*")
_ASCII_SPACE = " \t\r\n"
_CLOSING = re.compile(r"[\s*_`~$.)\]\\>\"'|]*")


class Parsed(NamedTuple):
    """What one completion says: exactly one of ``scores`` and ``problem`` is set.

    ``scores`` has length n, in shown order; for kind "index" it is 1 for the response named best and 0 for the
    others; for kind "principles" it is None and ``principles`` stands in its place.
    ``box`` is the half-open span, in the completion, of the content of the box that was read. ``principles`` and
    ``critique`` are a best-effort split for display, "" where no heading tells them apart.
    """

    scores: tuple[int, ...] | None
    problem: Problem | None
    box: tuple[int, int] | None
    principles: str
    critique: str


class Reading(NamedTuple):
    """Integers of the box that was read, or the problem; exactly one is set."""

    values: tuple[int, ...] | None
    problem: Problem | None
    box: tuple[int, int] | None


def parse_scores(
    text: str, n: int, scale: tuple[int, int], finish_reason: FinishReason = "stop", sections: bool = True
) -> Parsed:
    """Read n scores of ``scale`` (both ends included), in shown order; the split for display only with ``sections``."""
    if not sections and finish_reason == "stop" and (plain := _read_plain(text, n, scale)) is not None:
        return plain
    start, problem = answer_start(text, finish_reason)
    reading = read_box(text, start, n, scale, finish_reason) if problem is None else Reading(None, problem, None)
    principles, critique = split_sections(text, start, reading.box) if sections else ("", "")
    return Parsed(reading.values, reading.problem, reading.box, principles, critique)


def parse_index(text: str, n: int, finish_reason: FinishReason = "stop", sections: bool = True) -> Parsed:
    """Read the number, 1 to n, of the best response; scores are one-hot; the split only with ``sections``."""
    start, problem = answer_start(text, finish_reason)
    reading = read_box(text, start, 1, (1, n), finish_reason) if problem is None else Reading(None, problem, None)
    principles, critique = split_sections(text, start, reading.box) if sections else ("", "")
    scores = None
    if reading.values is not None:
        scores = tuple(int(number == reading.values[0]) for number in range(1, n + 1))
    return Parsed(scores, reading.problem, reading.box, principles, critique)


def parse_principles(text: str, finish_reason: FinishReason = "stop") -> Parsed:
    """Read the principles a model wrote from the query alone: the answer without its heading."""
    start, problem = answer_start(text, finish_reason)
    if problem is not None:
        code: ProblemCode = "no_principles" if problem.code == "no_box" else problem.code
        return Parsed(None, Problem(code, problem.detail), None, "", "")
    if finish_reason != "stop":
        return Parsed(None, _cut("the principles were finished"), None, "", "")
    found = _find_heading(text, _PRINCIPLES, start, len(text))
    begin = found[1] if found is not None and not text[start : found[0]].strip() else start
    principles = text[begin:].strip()
    if not any(map(str.isalpha, principles)):
        return Parsed(
            None, Problem("no_principles", f"expected criteria in words, got {_show(principles)}"), None, "", ""
        )
    return Parsed(None, None, None, principles, "")


def answer_start(text: str, finish_reason: FinishReason) -> tuple[int, Problem | None]:
    """Where the answer begins, after any reasoning; or why there is no answer."""
    if not text or text.isspace():
        limit = " (it stopped at the token limit)" if finish_reason == "length" else ""
        return 0, Problem("empty", f"the completion is empty{limit}")
    start = 0
    if "<" not in text and "THINK]" not in text and "think▷" not in text:
        return start, None
    for match in _CLOSE.finditer(text):
        start = match.end()
    if _OPEN.search(text, start):
        if finish_reason == "stop":
            return start, Problem("no_box", "a reasoning block is never closed, so no answer follows it")
        return start, _cut("the reasoning block was closed")
    return start, None


def read_box(text: str, start: int, n: int, scale: tuple[int, int], finish_reason: FinishReason) -> Reading:
    """Read exactly n integers of ``scale`` from the last box at or after ``start``."""
    opening = _last_box(text, start, len(text))
    if opening is None:
        if finish_reason == "stop":
            return Reading(
                None, Problem("no_box", f"the answer has no {BOX}{{...}}; expected {_wanted(n, scale)} in one"), None
            )
        return Reading(None, _cut(f"a {BOX}{{...}}"), None)
    at, begin = opening
    end = _closing_brace(text, begin)
    if end is None:
        if finish_reason == "stop":
            return Reading(
                None, Problem("no_box", f"the last {BOX}{{ is never closed; expected {_wanted(n, scale)} in it"), None
            )
        return Reading(None, _cut(f"the {BOX}{{...}} was closed"), None)
    span = (begin, end)
    if finish_reason != "stop" and not _CLOSING.fullmatch(text, end + 1):
        return Reading(None, _cut("the text after its last box ended"), span)
    if _nested(text, start, at, end):
        return Reading(None, Problem("not_integer", f"a box inside a box: {_show(text[begin:end])}"), span)
    values, problem = _integers(text[begin:end], n, scale)
    return Reading(values, problem, span)


def _read_plain(text: str, n: int, scale: tuple[int, int]) -> Parsed | None:
    """What ``parse_scores`` finds in the plainest completion, quickly: one box, no reasoning, all in order; else None."""
    at = text.rfind(BOX)
    begin = at + len(BOX) + 1
    end = text.find("}", begin)
    if at < 0 or end < 0 or text[begin - 1] != "{" or "<" in text:
        return None
    # One character is found much faster than several, and rules most texts out.
    if text.find("\\") != at and text.find(BOX) != at:
        return None
    if ("]" in text and "THINK]" in text) or "think▷" in text:
        return None
    scores = _plain_scores(text[begin:end], n, scale)
    return None if scores is None else Parsed(scores, None, (begin, end), "", "")


@lru_cache(maxsize=4096)
def _plain_scores(content: str, n: int, scale: tuple[int, int]) -> tuple[int, ...] | None:
    if not _PLAIN.fullmatch(content):
        return None
    scores = tuple(map(int, content.split(",")))
    return scores if len(scores) == n and min(scores) >= scale[0] and max(scores) <= scale[1] else None


def _integers(content: str, n: int, scale: tuple[int, int]) -> tuple[tuple[int, ...] | None, Problem | None]:
    parts = [part.strip(_ASCII_SPACE) for part in content.split(",")]
    low, high = scale
    # Length first: int() refuses thousands of digits with an error of its own.
    if len(parts) == n and all(len(p) <= 9 and _INTEGER.fullmatch(p) and low <= int(p) <= high for p in parts):
        return tuple(map(int, parts)), None
    return None, _misread(content, parts, n, scale)


def _misread(content: str, parts: list[str], n: int, scale: tuple[int, int]) -> Problem:
    """The first reason why a box holds no n integers of the scale."""
    wanted, held = _wanted(n, scale), f"the box holds {_show(content)}"
    if parts == [""]:
        return Problem("wrong_count", f"the box is empty; expected {wanted}")
    for part in parts:
        if not _INTEGER.fullmatch(part):
            return Problem("not_integer", f"{held}; {_show(part)} is no plain integer, expected {wanted}")
    if len(parts) != n:
        return Problem("wrong_count", f"{held}: {_count(len(parts))}, expected {wanted}")
    return Problem("out_of_range", f"{held}; expected {wanted}")


def _last_box(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Offsets of the last ``\\boxed`` that a brace follows, and of what comes after that brace."""
    at = text.rfind(BOX, start, end)
    while at >= 0:
        brace = at + len(BOX)
        while text[brace : brace + 1] in (" ", "\t", "\n"):
            brace += 1
        if text.startswith("{", brace):
            return at, brace + 1
        at = text.rfind(BOX, start, at)
    return None


def _closing_brace(text: str, begin: int) -> int | None:
    """Offset of the brace that closes the one just before ``begin``."""
    depth = 1
    close = text.find("}", begin)
    inner = text.find("{", begin)
    while close >= 0:
        while 0 <= inner < close:
            depth += 1
            inner = text.find("{", inner + 1)
        depth -= 1
        if depth == 0:
            return close
        close = text.find("}", close + 1)
    return None


def _nested(text: str, start: int, at: int, end: int) -> bool:
    """Whether the box before the last one is still open where the last one begins."""
    outer = _last_box(text, start, at)
    if outer is None:
        return False
    closed = _closing_brace(text, outer[1])
    if closed is None:
        return "\n" not in text[outer[1] : at]
    return closed > end


_PRINCIPLES = ("Specific Criteria", "Specific criteria", "SPECIFIC CRITERIA", "Principles", "Criteria", "CRITERIA")
_CRITIQUE = ("Analysis", "ANALYSIS", "analysis", "Critique", "Evaluation", "Comparison", "Assessment")
_SCORES = ("Scores", "Score", "SCORES", "Final", "Overall", "Verdict", "Best")
_LEAD = frozenset("#*_>-•+=[(⟦ \t.)0123456789")
_TRAIL = ":*_#=-]) \t：\n"


def split_sections(text: str, start: int, box: tuple[int, int] | None) -> tuple[str, str]:
    """Split the answer before the box into principles and critique by their headings, for display only."""
    end = len(text) if box is None else max(text.rfind(BOX, start, box[0]), start)
    critique = _find_heading(text, _CRITIQUE, start, end)
    principles = _find_heading(text, _PRINCIPLES, start, end if critique is None else critique[0])
    scores = _find_heading(text, _SCORES, start if critique is None else critique[1], end, last=True)
    stop = end if scores is None else scores[0]
    if principles is None:
        return "", text[start if critique is None else critique[1] : stop].strip()
    if critique is None:
        return text[principles[1] : stop].strip(), ""
    return text[principles[1] : critique[0]].strip(), text[critique[1] : stop].strip()


def _find_heading(
    text: str, words: tuple[str, ...], start: int, end: int, last: bool = False
) -> tuple[int, int] | None:
    """The line start, and the end of the heading, of the first (or last) of ``words`` that begins a line."""
    for word in words:
        at = text.rfind(word, start, end) if last else text.find(word, start, end)
        while at >= 0:
            line = max(text.rfind("\n", start, at) + 1, start)
            after = at + len(word)
            if _LEAD.issuperset(text[line:at]) and not text[after : after + 1].isalnum():
                while after < end and text[after] in _TRAIL:
                    after += 1
                return line, after
            at = text.rfind(word, start, at) if last else text.find(word, after, end)
    return None


def _cut(before: str) -> Problem:
    return Problem("truncated", f"the completion was cut off before {before}; raise max_tokens if that was the limit")


def _count(n: int) -> str:
    return "1 integer" if n == 1 else f"{n} integers"


def _wanted(n: int, scale: tuple[int, int]) -> str:
    return f"{_count(n)} from {scale[0]} to {scale[1]}"


def _show(content: str) -> str:
    shown = content if len(content) <= _SHOWN_CHARS else content[:_SHOWN_CHARS] + "..."
    return repr(shown)
