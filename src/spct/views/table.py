"""One line per verdict, in columns that fit the surface: id, ground truth, best, scores, confidence, valid, notes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache

from rich.cells import cell_len

from spct.harmless import line
from spct.items.names import letter
from spct.measures.case import Scale
from spct.types import Item
from spct.views.surface import Surface, cut
from spct.voting.accuracy import Grade, can_be_right, grade
from spct.voting.verdict import Verdict, passes

MARKS: dict[Grade | None, tuple[str, str]] = {
    "correct": ("✓", "green"),
    "wrong": ("✗", "red"),
    "tied": ("=", "yellow"),
    "invalid": ("-", "red"),
    None: (" ", ""),
}
"""Beside an item whose best response is known: right, wrong, tied with another, no verdict."""

SCORES_TITLE = "mean ± spread, best first"
NARROWEST_SCORES = 26


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths in cells; a column of width 0 is left out. Two cells stand between columns."""

    id: int
    scores: int
    confidence: int = 5
    valid: int = 7
    notes: int = 15

    @classmethod
    @lru_cache(maxsize=16)
    def within(cls, width: int) -> Columns:
        """Columns that fill ``width``: scores shrink first, then notes, confidence and valid go, in this order."""
        wide = max(8, min(28, width // 5))
        for confidence, valid, notes in [(5, 7, 15), (5, 7, 0), (0, 7, 0), (0, 0, 0)]:
            room = (
                width - wide - len(" ✓ best") - sum(2 + column for column in (confidence, valid, notes) if column) - 2
            )
            if room >= NARROWEST_SCORES or not valid:
                break
        return cls(wide, max(0, room), confidence, valid, notes)

    def join(self, surface: Surface, cells: list[tuple[str, str]]) -> str:
        """Lay out (text, style) for id, mark, best, scores, confidence, valid, notes."""
        widths = [self.id, 1, 4, self.scores, self.confidence, self.valid, self.notes]
        gaps = [" ", " ", "  ", "  ", "  ", "  ", ""]
        laid = ""
        for (text, style), width, gap in zip(cells, widths, gaps, strict=True):
            if width:
                shown = cut(text, width)
                laid += surface.paint(shown, style) + " " * (width - cell_len(shown)) + gap
        return laid.rstrip()


def verdict_header(surface: Surface | None = None) -> str:
    """The titles of the columns of ``verdict_line``."""
    surface = surface or Surface.of(sys.stdout)
    titles = ["item", "", "best", SCORES_TITLE, "conf", "valid/k", "notes"]
    return Columns.within(surface.width).join(surface, [(title, "bold") for title in titles])


def verdict_line(
    verdict: Verdict, item: Item | None = None, surface: Surface | None = None, scale: Scale | None = None
) -> str:
    """One verdict on one line of at most the surface's width (default: that of stdout).

    ``scale`` is that of the judge's scores, which marks lone labelled responses as right or wrong if it is theirs.
    """
    surface = surface or Surface.of(sys.stdout)
    columns = Columns.within(surface.width)
    mark, mark_style = MARKS[graded(verdict, item, scale)]
    best = "-" if verdict.best is None else letter(verdict.best)
    confidence = "-" if verdict.confidence is None else f"{verdict.confidence:.2f}"
    failed = verdict.best is None
    cells = [
        (line(verdict.id), ""),
        (mark, mark_style),
        (best, "bold"),
        (_reason(verdict) if failed else scores_text(verdict, columns.scores), "red" if failed else ""),
        (confidence, ""),
        (f"{passes(verdict)}/{verdict.k}", "yellow" if passes(verdict) < (verdict.sampled or verdict.k) else ""),
        (_fitting(_notes(verdict), columns.notes), "yellow"),
    ]
    return columns.join(surface, cells)


def graded(verdict: Verdict, item: Item | None, scale: Scale | None) -> Grade | None:
    """The verdict against the item's best response or label; None where it can be neither right nor wrong."""
    return grade(verdict.means, item) if item is not None and can_be_right(item, scale) else None


def scores_text(verdict: Verdict, width: int) -> str:
    """As many ``name: mean±spread`` as fit, best first, and how many do not."""
    if verdict.ranking is None or verdict.means is None or verdict.spread is None:
        return ""
    parts = [f"{letter(i)}: {verdict.means[i]:.2f}{spread_text(verdict.spread[i])}" for i in verdict.ranking]
    for shown in range(len(parts), 0, -1):
        rest = len(parts) - shown
        text = "  ".join([*parts[:shown], *([f"+{rest}"] if rest else [])])
        if cell_len(text) <= width:
            return text
    return cut(parts[0], width)


def spread_text(spread: float | None) -> str:
    return "" if spread is None else f"±{spread:.1f}"


def _reason(verdict: Verdict) -> str:
    return "no verdict" if verdict.error is None else f"no verdict: {line(verdict.error.type)}"


def _notes(verdict: Verdict) -> list[str]:
    """What deserves a look, gravest first."""
    notes = []
    if verdict.error is not None and verdict.best is not None:
        notes.append(line(verdict.error.type))
    if verdict.tied:
        notes.append("tie " + " ".join(map(letter, verdict.tied)))
    if verdict.invalid:
        notes.append(f"{verdict.invalid} invalid")
    if verdict.duplicates:
        notes.append(f"{verdict.duplicates} repeated")
    return notes


def _fitting(notes: list[str], width: int) -> str:
    """As many whole notes as fit, with an ellipsis for the rest."""
    for shown in range(len(notes), 0, -1):
        text = ", ".join(notes[:shown]) + ("" if shown == len(notes) else " …")
        if cell_len(text) <= width:
            return text
    return cut(notes[0], width) if notes else ""
