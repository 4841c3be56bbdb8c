"""Texts of any origin as HTML: harmless characters, Markdown through a sanitiser, and what is said of responses tinted.

Nothing of a text is ever live: raw HTML in it is shown as text, links and images stay as they were written, and what Markdown
makes passes nh3 with a short list of tags and no attribute but three classes of our own. Everything returned is ``Markup``.
"""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape, unescape

import latex2mathml.converter
import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.texmath import texmath_plugin

from spct.harmless import lines
from spct.items.names import letters

MOST_MARKDOWN = 60_000
"""Characters of a text that is rendered; a longer one is shown as it is."""
MOST_FORMULA = 2000
MOST_SHOWN = 200_000
"""Characters of a text on a page; the whole of it has an address of its own."""
MOST_DIFFERENT = 4000
"""Words of two texts that are compared word by word; longer ones are compared line by line."""

_TAGS = set(
    "p br hr strong em s code pre blockquote ul ol li table thead tbody tr th td span math mrow mi mn mo msup msub msubsup "
    "mfrac msqrt mroot mtext mspace mover munder munderover mtable mtr mtd mstyle mpadded menclose".split()
)
_ATTRIBUTES = {"math": {"display"}, "ol": {"start"}}
_CLASSES = {"p": {"h"}, "span": {"math"}}
_TAG = re.compile(r"(<[^>]*>)")
_NAMED = re.compile(
    r"\b(?P<noun>[Rr]esponses?|[Oo]utputs?|[Aa]nswers?|[Aa]ssistants?|[Cc]andidates?|[Ss]olutions?|[Oo]ptions?)"
    r"(?P<gap>[ \u00a0]?[*_]{0,2}#?)(?:\((?P<small>[a-z])\)|(?P<number>[1-9][0-9]?)(?![\w.%]*[0-9%])|(?P<big>[A-H])(?![\w']))"
)

Places = Sequence[tuple[int, ...]]
"""The responses shown at each place of a prompt, first place first; several where they are equal."""


def raw(text: str) -> Markup:
    """A text as it is, its lines kept, characters that nobody sees made visible."""
    shown = escape("\n".join(lines(text)), quote=False)
    return Markup(f'<pre class="raw">{shown}</pre>')


@dataclass(frozen=True, slots=True)
class Text:
    """A text as shown: ``cut`` is how many characters it has if not all of them are there."""

    html: Markup
    cut: int | None = None

    @property
    def tall(self) -> bool:
        """Whether it may be higher than its frame, so that the keyboard must be able to scroll it."""
        return len(self.html) > 600 or self.html.count("\n") > 15


def markdown(text: str) -> Markup:
    """A text as Markdown; one that is too long as it is."""
    if len(text) > MOST_MARKDOWN:
        return raw(text)
    try:
        made = _renderer().render("\n".join(lines(text)))
    except RecursionError:
        return raw(text)
    return Markup(nh3.clean(made, tags=_TAGS, attributes=_ATTRIBUTES, allowed_classes=_CLASSES, link_rel=None))


@cache
def _renderer() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    made.disable(["link", "image", "autolink", "reference", "html_inline", "html_block"])
    dollarmath_plugin(made, renderer=_formula, allow_space=False, allow_digits=False)
    texmath_plugin(made, delimiters="brackets")
    for rule, display in (("math_inline", False), ("math_block", True)):
        made.add_render_rule(
            rule, lambda _, tokens, at, *rest, display=display: _formula(tokens[at].content, {"display_mode": display})
        )
    made.add_render_rule("heading_open", lambda *_: '<p class="h">')
    made.add_render_rule("heading_close", lambda *_: "</p>\n")
    return made


def _formula(text: str, options: Mapping[str, bool]) -> str:
    """LaTeX as MathML, which browsers render by themselves; what cannot be read stays as it was written."""
    display = options["display_mode"]
    if len(text) <= MOST_FORMULA:
        with contextlib.suppress(Exception):  # the library raises errors of many kinds for what it cannot read
            # It hands on what \text{} holds as it is: cleaned of its tags, or of a letter's code, it would hide what a judge read.
            made = latex2mathml.converter.convert(text.replace("<", "\\lt "), display="block" if display else "inline")
            said = unescape(_TAG.sub("", made))
            if "\\lt" not in said and unescape(text) == text and "\n".join(lines(said)) == said:
                return made
    mark = "$$" if display else "$"
    return f"<code>{mark}{escape(text)}{mark}</code>"


def as_it_is(text: str) -> Text:
    """A text as it was written, to as many characters as a page shows."""
    return Text(raw(text[:MOST_SHOWN]), len(text) if len(text) > MOST_SHOWN else None)


def tinted(html: Markup, places: Places) -> Markup:
    """What is said of "Response 2" marked, and named as the response that was shown there."""
    parts = _TAG.split(str(html))
    for at in range(0, len(parts), 2):
        parts[at] = _NAMED.sub(lambda match: _mark(match, places), parts[at])
    return Markup("".join(parts))


def _mark(match: re.Match[str], places: Places) -> str:
    found = match["number"] or match["small"] or match["big"]
    place = int(found) - 1 if found.isdigit() else ord(found.lower()) - ord("a")
    if place >= len(places):
        return match[0]
    responses = places[place]
    return f'<mark class="r r{responses[0] % 8}">{match[0]}<b> = {letters(responses)}</b></mark>'


def difference(one: str, other: str) -> tuple[Markup, Markup]:
    """Two texts with what only the one has, and what only the other has, marked."""
    split: Callable[[str], list[str]] = re.compile(r"\s+|\w+|[^\w\s]").findall
    texts = ["\n".join(lines(text)) for text in (one, other)]
    first, second = map(split, texts)
    if max(len(first), len(second)) > MOST_DIFFERENT:
        first, second = (_shortened(text).splitlines(keepends=True) for text in texts)
    begin = _alike(first, second)
    end = _alike(first[begin:][::-1], second[begin:][::-1])
    inner = first[begin : len(first) - end], second[begin : len(second) - end]
    head = escape("".join(first[:begin]), quote=False)
    left, right = [head], [head]
    for kind, a, b, c, d in difflib.SequenceMatcher(None, *inner).get_opcodes():
        for sink, pieces, tag in ((left, inner[0][a:b], "del"), (right, inner[1][c:d], "ins")):
            text = escape("".join(pieces), quote=False)
            sink.append(f"<{tag}>{text}</{tag}>" if kind != "equal" and text else text)
    tail = escape("".join(first[len(first) - end :]), quote=False)
    return Markup("".join(left) + tail), Markup("".join(right) + tail)


def _shortened(text: str) -> str:
    left = len(text) - MOST_SHOWN
    return text if left <= 0 else f"{text[:MOST_SHOWN]}\n[{left:,} more characters are not compared]"


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many pieces two texts begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
