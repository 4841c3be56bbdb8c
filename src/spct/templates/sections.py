"""The parts of a judgment by name, for people and programs that read what a judge wrote; no score depends on them."""

from __future__ import annotations

from spct.templates.answer import last_box, reasoning
from spct.templates.parsing import split_sections


def sections_of(text: str) -> dict[str, str]:
    """The parts of a completion by its headings and its last box, where its template is not at hand (``Template.divide``)."""
    start, _ = reasoning(text)
    box = last_box(text, start, len(text))
    return named_parts(text, start, box, *split_sections(text, start, box))


def named_parts(text: str, start: int, span: tuple[int, int] | None, principles: str, critique: str) -> dict[str, str]:
    """Reasoning, principles, critique and scores, in this order; a part that is not there is left out.

    The reasoning ends at ``start``, and the scores begin with the answer's form at ``span``.
    """
    scores = "" if span is None else text[span[0] :].strip()
    named = {"reasoning": text[:start].strip(), "principles": principles, "critique": critique, "scores": scores}
    return {name: part for name, part in named.items() if part}
