"""The parts of a judgment by name, for people and programs that read what a judge wrote; no score depends on them."""

from __future__ import annotations

from spct.templates.answer import last_box, reasoning
from spct.templates.parsing import split_sections


def sections_of(text: str) -> dict[str, str]:
    """Reasoning, principles, critique and scores of a completion, in this order, as far as headings tell them apart.

    A part that is not there is left out; text without headings is all critique, but for its last box.
    """
    start, _ = reasoning(text)
    box = last_box(text, start, len(text))
    principles, critique = split_sections(text, start, None if box is None else (box[1], box[1]))
    scores = "" if box is None else text[box[0] :].strip()
    named = {"reasoning": text[:start].strip(), "principles": principles, "critique": critique, "scores": scores}
    return {name: part for name, part in named.items() if part}
