"""What the tests of the family read and seal with: a reader on its own, without a template file around it."""

from __future__ import annotations

from collections.abc import Sequence

from spct.templates.parsing import Parsed, parse_answer
from spct.templates.readers import Scale, make_reader
from spct.templates.shield import Shield
from spct.types import FinishReason


def parse_scores(
    text: str,
    n: int,
    scale: tuple[int, ...] = (1, 10),
    finish: FinishReason = "stop",
    sections: bool = True,
    heading: str | None = None,
    *,
    reader: object = "box",
) -> Parsed:
    """``scale`` may have a third part, the decimals."""
    return parse_answer(make_reader(reader, Scale(*scale)), text, n, finish, sections, heading)


def parse_index(
    text: str, n: int, finish: FinishReason = "stop", sections: bool = True, heading: str | None = None
) -> Parsed:
    return parse_scores(text, n, (1, 10), finish, sections, heading, reader="index")


def shield_for(markers: Sequence[str], reader: object = "box", scale: tuple[int, ...] = (1, 10)) -> Shield:
    return Shield(markers, make_reader(reader, Scale(*scale)))
