r"""GBNF that makes every sample well-formed, in the subset that llama.cpp and XGrammar (OpenVINO GenAI) read alike.

Shape: the section headings in order; under the first, two to four lines (as many as there is room for); under the
second, one paragraph per response ("Response 1: ..."), so that a small model says something about each, with further
lines as bullets ("- ...") where there is room; under the third, the form of the template's reader. A form that is the
whole completion (JSON with its texts in it, a label alone) has no headings. Within a line anything may stand, LaTeX
included, but ``\boxed`` and a double backslash; a line begins with none of ``< [ # (`` or white space: nothing in a
section opens a reasoning block, fakes a heading or copies the placeholders of the prompt. Classes are ASCII: XGrammar
clamps other characters in them.

Length. Free text is bounded so that a completion normally ends inside ``max_tokens``: all lines together have at most
``UNITS_PER_TOKEN x (max_tokens - tokens of headings, labels and box)`` units, a quarter for the criteria and the rest
shared by the responses. A unit begins at a blank, a digit or a punctuation mark; English has about 0.87 units a token,
numbers have one, so 0.75 leaves a margin. Text without any of these (Chinese, a runaway word) is bounded only by
max_tokens; a sample that hits it is then "truncated", never mis-scored.

Speed. XGrammar keeps a mask of allowed tokens by place in a rule, and works one out anew for every token that leaves
the rule it stands in. So the bulk of the text is a repeated character class alone, with the rare backslash as a
branch behind it: an alternative inside the repetition made sampling four times dearer, and a count per character five
to ten times.
"""

from __future__ import annotations

from spct.templates.front_matter import Headings
from spct.templates.readers import Reader
from spct.templates.readers.pattern import gbnf

UNITS_PER_TOKEN = 0.75
LINE_UNITS = 120
MIN_LINE_UNITS = 8
CRITERIA_LINES = 4
PRINCIPLE_LINES = 6
MAX_LINES = 24
MAX_UNITS = LINE_UNITS * MAX_LINES
_HEADING_TOKENS = 24
_LABEL_TOKENS = 5

# A backslash is followed by something that cannot complete \boxed; one at the end of a line, or doubled, could.
_TEXT_RULES = r"""
first ::= [^\\\n\r\t #(<\[] [^- 0-9.,:;!?()/\\\n]*
unit ::= [- 0-9.,:;!?()/] [^- 0-9.,:;!?()/\\\n]* (escape [^- 0-9.,:;!?()/\\\n]*)*
escape ::= "\\" ([^\\\nb] | "b" [^\\\no] | "bo" [^\\\nx])
""".strip()


# Free text within a JSON string: no quote ends it early, no backslash spells anything else.
_STRING_RULES = r"""
first ::= [^"\\\n\r\t ]
unit ::= [- 0-9.,:;!?()/] [^- 0-9.,:;!?()/"\\\n\r\t]*
""".strip()


def write_grammar(reader: Reader, n: int, max_tokens: int, headings: Headings, asked: int | None = None) -> str:
    """The grammar of one answer over n responses, with ``asked`` scores where that is not one a response.

    ``max_tokens`` is the length the engine will be given.
    """
    form = reader.rules(n if asked is None else asked)
    if form.whole:
        units = int(UNITS_PER_TOKEN * max(max_tokens - form.tokens, 0)) // max(form.texts, 1)
        text = [f"text ::= first unit{{2,{max(min(units, MAX_UNITS), MIN_LINE_UNITS)}}}", _STRING_RULES]
        return "\n".join([f"root ::= {form.root}", *form.rules, *(text if form.texts else ())]) + "\n"
    fixed = _HEADING_TOKENS + form.tokens + (0 if reader.kind == "text" else _LABEL_TOKENS * n)
    units = int(UNITS_PER_TOKEN * max(max_tokens - fixed, 0))
    if reader.kind == "text":
        lines = _lines("criterion", PRINCIPLE_LINES, units)
        return "\n".join([f"root ::= {_heading(headings.principles)} {lines.root}", *lines.rules, _TEXT_RULES]) + "\n"
    parts, rules = [], []
    if headings.principles is not None:
        criteria = _lines("criterion", CRITERIA_LINES, units // 4)
        units -= units // 4
        parts += [_heading(headings.principles), criteria.root]
        rules += criteria.rules
    if headings.critique is not None:
        critique = _critique(n, units // n)
        parts += [_heading(headings.critique), critique.root]
        rules += critique.rules
    parts += [_heading(headings.scores), form.root]
    return "\n".join([f"root ::= {' '.join(part for part in parts if part)}", *rules, *form.rules, _TEXT_RULES]) + "\n"


class _Part:
    """What a section contributes: its place in the root rule, and the rules it needs."""

    def __init__(self, root: str, rules: list[str]) -> None:
        self.root = root
        self.rules = rules


def _lines(name: str, most: int, units: int) -> _Part:
    """Two to ``most`` lines of together at most ``units`` units: fewer lines, not more units, where there is little room."""
    most = min(max(units // MIN_LINE_UNITS, 2), most)
    width = _width(units // most)
    return _Part(f"{name}{{2,{most}}}", [f'{name} ::= first unit{{0,{width}}} "\\n"'])


def _critique(n: int, units: int) -> _Part:
    """One labelled paragraph per response of together at most ``units`` units each."""
    count = min(max(-(-units // LINE_UNITS), 1), MAX_LINES)
    width = _width(units // count)
    more = f" bullet{{0,{count - 1}}}" if count > 1 else ""
    labels = " ".join(f'"Response {place}: " paragraph' for place in range(1, n + 1))
    rules = [f'paragraph ::= first unit{{2,{width}}} "\\n"{more}']
    if count > 1:
        rules.append(f'bullet ::= "- " first unit{{0,{width}}} "\\n"')
    return _Part(labels, rules)


def _width(units: int) -> int:
    return max(min(units, LINE_UNITS), MIN_LINE_UNITS)


def _heading(text: str | None) -> str:
    return "" if text is None else gbnf(f"{text}\n")
