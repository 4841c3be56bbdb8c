r"""From a completion to scores, or to the reason there are none. Nothing is invented, clamped, rounded or defaulted.

Of the answer (``answer`` says what that is) the template's reader (``readers``) reads its form. What holds for all forms:

A completion that did not stop by itself counts only if its answer section was complete: nothing but closing punctuation
follows the form, and the form is where an answer ends, not in a sentence or a quotation (``_is_complete``). What was cut
off elsewhere might have gone on to say something else. Spans are offsets in the completion as given.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from spct.templates.answer import AROUND, LEAD, begins_with_scores, reasoning
from spct.templates.readers.reader import Reader, Reading
from spct.templates.readers.scale import shown
from spct.types import FinishReason, Problem, ProblemCode

_CLOSING = re.compile(r"[\s*_`~$.)\]\\>\"'|]*")


class Parsed(NamedTuple):
    """What one completion says: exactly one of ``scores`` and ``problem`` is set.

    ``scores`` has length n, in shown order; for kind "text" it is None and ``text`` stands in its place.
    ``span`` is the half-open span, in the completion, of the answer form that was read. ``principles`` and
    ``critique`` are a best-effort split for display, "" where nothing tells them apart.
    """

    scores: tuple[float, ...] | None
    problem: Problem | None
    span: tuple[int, int] | None
    principles: str
    critique: str
    text: str = ""


def parse_answer(
    reader: Reader,
    text: str,
    n: int,
    finish_reason: FinishReason = "stop",
    sections: bool = True,
    heading: str | None = None,
) -> Parsed:
    """Read the answer over n responses, in shown order; the split for display only with ``sections``.

    ``heading`` is the line that the template lets its scores begin with.
    """
    start, problem = answer_start(text, finish_reason, reader.missing)
    found = Reading(None, problem)
    if problem is None:
        found = reader.read(text, start, n)
        if finish_reason != "stop" and (cut := _cut_off(reader, found, text, start, heading)) is not None:
            found = found._replace(scores=None, problem=cut)
    principles, critique = "", ""
    if sections:
        principles, critique = reader.sections(text, found.span) or split_sections(text, start, found.span)
    return Parsed(found.scores, found.problem, found.span, principles, critique)


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
        return Parsed(None, Problem("empty", f"expected a text in words, got {shown(answer)}"), None, "", "")
    return Parsed(None, None, None, "", "", answer)


def answer_start(
    text: str, finish_reason: FinishReason, missing: ProblemCode = "no_answer"
) -> tuple[int, Problem | None]:
    """Where the answer begins, after any reasoning; or why there is no answer, of code ``missing`` if it never begins."""
    if not text or text.isspace():
        limit = " (it stopped at the token limit)" if finish_reason == "length" else ""
        return 0, Problem("empty", f"the completion is empty{limit}")
    start, is_open = reasoning(text)
    if is_open:
        if finish_reason == "stop":
            return start, Problem(missing, "a reasoning block is never closed, so no answer follows it")
        return start, _cut("the reasoning block was closed")
    return start, None


def _cut_off(reader: Reader, found: Reading, text: str, start: int, heading: str | None) -> Problem | None:
    """What is wrong with a form in a completion that did not stop by itself, None if it counts all the same."""
    if found.span is None:
        return _cut(f"a {reader.noun}")
    if not found.closed:
        return _cut(f"the {reader.noun} was closed")
    begin, end = found.span
    if not _CLOSING.fullmatch(text, end):
        return _cut(f"the text after its last {reader.noun} ended")
    if found.problem is None and not _is_complete(text, start, begin, heading):
        where = "neither alone on its line nor under a heading of scores, or in a quotation"
        return _cut(f"its answer section was complete (its last {reader.noun} is {where})")
    return None


def _is_complete(text: str, start: int, at: int, heading: str | None) -> bool:
    """Whether the form at ``at``, after which nothing came, ends an answer section and not a sentence or a quotation.

    It does on a line that begins with a heading of scores; or alone on its line, unless the line before leads in
    something else by a colon, or a fence is open that holds more than the form.
    """
    line = max(text.rfind("\n", start, at) + 1, start)
    if begins_with_scores(text, line, at, heading):
        return True
    if not _DRESS.fullmatch(text, line, at):
        return False
    fences = _FENCE.findall(text, start, line)
    above = text[start:line].rstrip(AROUND)
    if len(fences) % 2 and not text[start:line].rstrip().endswith(fences[-1].strip()):
        return False
    last_line = above.rfind("\n") + 1
    return not above.endswith((":", "：")) or begins_with_scores(above, last_line, len(above), heading)


_PRINCIPLES = ("Specific Criteria", "Specific criteria", "SPECIFIC CRITERIA", "Principles", "Criteria", "CRITERIA")
_CRITIQUE = ("Analysis", "ANALYSIS", "analysis", "Critique", "Evaluation", "Comparison", "Assessment")
_SCORES = ("Scores", "Score", "SCORES", "Final", "Overall", "Verdict", "Best")
_TRAIL = r"[:*_#=\-\]) \t：\n]*+"

# In a completion that was cut off: what may stand before a form alone on its line.
_DRESS = re.compile(f"[{re.escape(AROUND)}:0-9)]*+")
_FENCE = re.compile(r"^[ \t>]*+(?:```|~~~).*", re.MULTILINE)


def split_sections(text: str, start: int, span: tuple[int, int] | None) -> tuple[str, str]:
    """Split the answer before the form that was read into principles and critique by their headings, for display only."""
    end = len(text) if span is None else max(span[0], start)
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
    heading = rf"(?P<heading>{LEAD}{re.escape(word)}(?![^\W_]){_TRAIL})"
    after_break = re.compile(rf"(?s:.*)\n{heading}").match if last else re.compile(rf"\n{heading}").search
    return re.compile(heading), after_break


def _cut(before: str) -> Problem:
    return Problem("truncated", f"the completion was cut off before {before}; raise max_tokens if that was the limit")
