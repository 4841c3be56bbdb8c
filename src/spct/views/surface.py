"""Where text is printed: how wide it is, whether it has colours. Widths are terminal cells, not characters."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import lru_cache
from typing import IO

from rich.cells import cell_len, set_cell_size
from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from rich.text import Text

from spct.harmless import lines

PLAIN_WIDTH = 100
"""Columns of what goes to a file or a pipe."""
WIDEST = 160


@dataclass(frozen=True, slots=True)
class Surface:
    """Columns to fill and whether colours may be used."""

    width: int = PLAIN_WIDTH
    colour: bool = False
    terminal: bool = False

    @classmethod
    def of(cls, stream: IO[str]) -> Surface:
        """The surface of a stream: a terminal's own width, ``PLAIN_WIDTH`` and no colour for everything else."""
        if not stream.isatty():
            return cls()
        colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
        try:
            width = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError):
            width = shutil.get_terminal_size().columns
        return cls(min(width, WIDEST) or PLAIN_WIDTH, colour, True)

    def paint(self, text: str, style: str) -> str:
        """``text`` in a rich style, or as it is where there are no colours."""
        if not (self.colour and style and text):
            return text
        return _style(style).render(text, color_system=ColorSystem.STANDARD)


PLAIN = Surface()


@lru_cache(maxsize=32)
def _style(style: str) -> Style:
    return Style.parse(style)


def cut(text: str, width: int) -> str:
    """``text`` in at most ``width`` cells, with an ellipsis where something is missing."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…"


LABEL = 12
"""Columns of a label."""


def labelled(label: str, text: str, surface: Surface, style: str = "dim", margin: int = 0) -> list[str]:
    """A label and a text whose further lines, if it is wrapped, stand under its first; nothing for an empty text."""
    if not text:
        return []
    first, *more = indented(text, surface, LABEL)
    return [" " * margin + surface.paint(label.ljust(LABEL - margin), style) + first[LABEL:], *more]


def indented(text: str, surface: Surface, margin: int) -> list[str]:
    """``text`` harmless and indented by ``margin``, wrapped at words on a terminal, as long as it is elsewhere."""
    pad = " " * margin
    if not surface.terminal:
        return [(pad + part).rstrip() for part in lines(text)]
    room = max(20, min(surface.width, 120) - margin)
    console = Console(width=room, color_system=None)
    wrapped = (piece for part in lines(text) for piece in (Text(part).wrap(console, room) if part else [Text()]))
    return [(pad + piece.plain).rstrip() for piece in wrapped]
