r"""From a completion to scores, or to the reason there are none. Nothing is invented, clamped, rounded or defaulted.

Of the answer (``answer`` says what that is) the LAST ``\boxed{...}`` is read, wherever it stands: in a fence, after a
heading, in dollars. It must hold exactly n ASCII integers inside the scale, separated by ASCII commas, with ASCII white
space allowed around them. All else is a ``Problem``, among it: ``7.5``, ``8/10``, ``eight``, ``08``, ``+8``, ``[8, 7]``,
``\text{8, 7}``, ``8，7``, digits of other scripts, labels, a trailing comma, LaTeX spaces, a box in a box, a last box
never closed.

A completion that did not stop by itself counts only if its answer section was complete: nothing but closing punctuation
follows the box, and the box is where an answer ends, not in a sentence or a quotation (``_is_complete``). What was cut
off elsewhere might have gone on to say something else. Spans are offsets in the completion as given.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Literal, NamedTuple

from spct.templates.answer import BOX, box_in_box, closing_brace, last_box, reasoning
from spct.types import FinishReason, Problem

AnswerKind = Literal["scores", "index", "text"]

_SHOWN_CHARS = 60
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_ASCII_SPACE = " \t\r\n\f\v"
_CLOSING = re.compile(r"[\s*_`~$.)\]\\>\"'|]*")


class Parsed(NamedTuple):
    """What one completion says: exactly one of ``scores`` and ``problem`` is set.

    ``scores`` has length n, in shown order; for kind "index" it is 1 for the response named best and 0 for the
    others; for kind "text" it is None and ``text`` stands in its place.
    ``box`` is the half-open span, in the completion, of the content of the box that was read. ``principles`` and
    ``critique`` are a best-effort split for display, "" where no heading tells them apart.
    """

    scores: tuple[int, ...] | None
    problem: Problem | None
    box: tuple[int, int] | None
    principles: str
    critique: str
    text: str = ""


class Reading(NamedTuple):
    """Integers of the box that was read, or the problem; exactly one is set."""

    values: tuple[int, ...] | None
    problem: Problem | None
    box: tuple[int, int] | None


def parse_scores(
    text: str,
    n: int,
    scale: tuple[int, int],
    finish_reason: FinishReason = "stop",
    sections: bool = True,
    heading: str | None = None,
) -> Parsed:
    """Read n scores of ``scale`` (both ends included), in shown order; the split for display only with ``sections``.

    ``heading`` is the line that the template lets its scores begin with.
    """
    start, problem = answer_start(text, finish_reason)
    reading = Reading(None, problem, None)
    if problem is None:
        reading = read_box(text, start, n, scale, finish_reason, heading)
    principles, critique = split_sections(text, start, reading.box) if sections else ("", "")
    return Parsed(reading.values, reading.problem, reading.box, principles, critique)


def parse_index(
    text: str, n: int, finish_reason: FinishReason = "stop", sections: bool = True, heading: str | None = None
) -> Parsed:
    """Read the number, 1 to n, of the best response; scores are one-hot, all else as ``parse_scores``."""
    parsed = parse_scores(text, 1, (1, n), finish_reason, sections, heading)
    if parsed.scores is None:
        return parsed
    return parsed._replace(scores=tuple(int(number == parsed.scores[0]) for number in range(1, n + 1)))


def parse_text(text: str, finish_reason: FinishReason = "stop", heading: str | None = None) -> Parsed:
    """Read a text that a first step wrote: the finished answer, without ``heading``, or one for principles, if asked for."""
    start, problem = answer_start(text, finish_reason)
    if problem is None and finish_reason != "stop":
        problem = _cut("the text was finished")
    if problem is not None:
        return Parsed(None, problem, None, "", "")
    names = () if heading is None else (heading.strip("#*: "), *_PRINCIPLES)
    found = _find_heading(text, names, start, len(text))
    begin = found[1] if found is not None and not text[start : found[0]].strip() else start
    answer = text[begin:].strip()
    if not any(map(str.isalnum if heading is None else str.isalpha, answer)):
        return Parsed(None, Problem("empty", f"expected a text in words, got {_show(answer)}"), None, "", "")
    return Parsed(None, None, None, "", "", answer)


def answer_start(text: str, finish_reason: FinishReason) -> tuple[int, Problem | None]:
    """Where the answer begins, after any reasoning; or why there is no answer."""
    if not text or text.isspace():
        limit = " (it stopped at the token limit)" if finish_reason == "length" else ""
        return 0, Problem("empty", f"the completion is empty{limit}")
    start, is_open = reasoning(text)
    if is_open:
        if finish_reason == "stop":
            return start, Problem("no_box", "a reasoning block is never closed, so no answer follows it")
        return start, _cut("the reasoning block was closed")
    return start, None


def read_box(
    text: str, start: int, n: int, scale: tuple[int, int], finish_reason: FinishReason, heading: str | None = None
) -> Reading:
    """Read exactly n integers of ``scale`` from the last box at or after ``start``."""
    opening = last_box(text, start, len(text))
    if opening is None:
        if finish_reason == "stop":
            return Reading(
                None, Problem("no_box", f"the answer has no {BOX}{{...}}; expected {_wanted(n, scale)} in one"), None
            )
        return Reading(None, _cut(f"a {BOX}{{...}}"), None)
    at, begin = opening
    end = closing_brace(text, begin)
    if end is None:
        if finish_reason == "stop":
            return Reading(
                None, Problem("no_box", f"the last {BOX}{{ is never closed; expected {_wanted(n, scale)} in it"), None
            )
        return Reading(None, _cut(f"the {BOX}{{...}} was closed"), None)
    span = (begin, end)
    if finish_reason != "stop" and not _CLOSING.fullmatch(text, end + 1):
        return Reading(None, _cut("the text after its last box ended"), span)
    if box_in_box(text, start, at, end):
        return Reading(None, Problem("not_integer", f"a box inside a box: {_show(text[begin:end])}"), span)
    values, problem = _integers(text[begin:end], n, scale)
    if problem is None and finish_reason != "stop" and not _is_complete(text, start, at, heading):
        where = "neither alone on its line nor under a heading of scores, or in a quotation"
        return Reading(None, _cut(f"its answer section was complete (its last box is {where})"), span)
    return Reading(values, problem, span)


def _is_complete(text: str, start: int, at: int, heading: str | None) -> bool:
    """Whether the box at ``at``, after which nothing came, ends an answer section and not a sentence or a quotation.

    It does on a line that begins with a heading of scores; or alone on its line, unless the line before leads in
    something else by a colon, or a fence is open that holds more than the box.
    """
    line = max(text.rfind("\n", start, at) + 1, start)
    if _begins_with_scores(text, line, at, heading):
        return True
    if not _DRESS.fullmatch(text, line, at):
        return False
    fences = _FENCE.findall(text, start, line)
    above = text[start:line].rstrip(_AROUND_A_BOX)
    if len(fences) % 2 and not text[start:line].rstrip().endswith(fences[-1].strip()):
        return False
    last_line = above.rfind("\n") + 1
    return not above.endswith((":", "：")) or _begins_with_scores(above, last_line, len(above), heading)


def _begins_with_scores(text: str, line: int, end: int, heading: str | None) -> bool:
    if heading is not None and text.startswith(heading.strip(), line, end):
        return True
    found = _SCORE_HEADING.match(text, line, end)
    if found is None:
        return False
    rest = text[found.end() : end].rstrip(_AROUND_A_BOX)
    return not rest or rest[-1] in ":：)"


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


_PRINCIPLES = ("Specific Criteria", "Specific criteria", "SPECIFIC CRITERIA", "Principles", "Criteria", "CRITERIA")
_CRITIQUE = ("Analysis", "ANALYSIS", "analysis", "Critique", "Evaluation", "Comparison", "Assessment")
_SCORES = ("Scores", "Score", "SCORES", "Final", "Overall", "Verdict", "Best")
_LEAD = r"[#*_>\-•+=\[(⟦ \t.)0-9]*+"
_TRAIL = r"[:*_#=\-\]) \t：\n]*+"

# In a completion that was cut off: what may stand before a box alone on its line, and a heading of scores.
_AROUND_A_BOX = " \t\r\n#*_>=-•+|.$`~\\([{"
_DRESS = re.compile(f"[{re.escape(_AROUND_A_BOX)}:0-9)]*+")
_FENCE = re.compile(r"^[ \t>]*+(?:```|~~~).*", re.MULTILINE)
_SCORE_HEADING = re.compile(
    _LEAD + r"(?:(?:the|my|these|final|overall|total) ){0,3}"
    r"(?:scores?|ratings?|verdicts?|[\u4e00-\u9fff]{0,4}(?:评分|得分|分数)|оценк[аи]|puntuaci[oó]n(?:es)?)(?![^\W_])",
    re.IGNORECASE,
)


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
        if word not in text:
            continue
        at_start, after_break = _heading_patterns(word, last)
        found = [at_start.match(text, start, end), after_break(text, start, end)]
        for match in reversed(found) if last else found:
            if match is not None:
                return match.span("heading")
    return None


@cache
def _heading_patterns(word: str, last: bool) -> tuple[re.Pattern[str], Callable[..., re.Match[str] | None]]:
    """What finds a heading where the text begins, and what finds the first (or last) after a line break."""
    heading = rf"(?P<heading>{_LEAD}{re.escape(word)}(?![^\W_]){_TRAIL})"
    after_break = re.compile(rf"(?s:.*)\n{heading}").match if last else re.compile(rf"\n{heading}").search
    return re.compile(heading), after_break


def _cut(before: str) -> Problem:
    return Problem("truncated", f"the completion was cut off before {before}; raise max_tokens if that was the limit")


def _count(n: int) -> str:
    return "1 integer" if n == 1 else f"{n} integers"


def _wanted(n: int, scale: tuple[int, int]) -> str:
    return f"{_count(n)} from {scale[0]} to {scale[1]}"


def _show(content: str) -> str:
    shown = content if len(content) <= _SHOWN_CHARS else content[:_SHOWN_CHARS] + "..."
    return repr(shown)
