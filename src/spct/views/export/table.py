"""What is exported: columns with their names and kinds, rows as dicts by column, and facts about the whole.

Cells are text, numbers, true or false, or None. They are as they are: each writer makes them safe for its own form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "word", "number", "count", "share", "flag"]
"""Long text, a word, a number, a whole number, a share of 1, true or false."""
Cell = str | float | int | bool | None
RowCells = Mapping[str, Cell]

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its ``name`` for programs, its ``title`` for people, and what it tells (``meaning``)."""

    name: str
    title: str
    kind: Kind
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns. ``facts`` are (label, fact) pairs about the whole; they are known once all rows are taken."""

    title: str
    columns: Sequence[Column]
    rows: Iterator[RowCells]
    count: int
    facts: Callable[[], Sequence[tuple[str, str]]]


def unarmed(text: str) -> str:
    """Text that no spreadsheet takes for a formula: what begins like one has an apostrophe before it.

    A spreadsheet that opens a CSV file computes cells that begin with =, +, - or @ (blanks before it or not, and their wide
    forms), and a formula can run a command or send the sheet away; quotes do not keep it from that.
    """
    return f"'{text}" if text.lstrip().startswith(FORMULA) or text[:1] in ("\t", "\r") else text
