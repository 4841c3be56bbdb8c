"""A table as Markdown: what the run adds up to, then the rows, long texts cut."""

from __future__ import annotations

from pathlib import Path

from spct.harmless import lines
from spct.views.export.table import Cell, Column, Table
from spct.views.surface import cut

LONGEST = 300
"""Characters of a text that are shown; the other forms have all of it."""


def write_markdown(table: Table, path: Path) -> int:
    """The facts as a list and the rows as a table. All rows are held in memory."""
    rows = [" | ".join(_cell(row.get(column.name), column) for column in table.columns) for row in table.rows]
    titles = " | ".join(_escaped(column.title) for column in table.columns)
    marks = " | ".join("---" if column.kind in ("text", "word") else "---:" for column in table.columns)
    text = [f"# Verdicts of {_escaped(table.title)}", ""]
    text += [f"- {_escaped(f'{label}: {fact}' if label else fact)}" for label, fact in table.facts()]
    text += [f"- texts of more than {LONGEST} characters are cut", "", f"| {titles} |", f"| {marks} |"]
    text += [f"| {row} |" for row in rows]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return len(rows)


def _cell(cell: Cell, column: Column) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool) or not isinstance(cell, float):
        return _escaped(cut(str(cell), LONGEST))
    return f"{cell:.2f}" if column.kind == "share" or not cell.is_integer() else f"{cell:g}"


def _escaped(text: str) -> str:
    """Text on one line of a table that Markdown shows as it is."""
    shown = "\0".join(lines(text.strip()))  # lines leave no such character in the text itself
    for mark in "\\`*_[]|~$":
        shown = shown.replace(mark, f"\\{mark}")
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace("\0", "<br>")
