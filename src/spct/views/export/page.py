"""A table as one web page that needs nothing beside it: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import jinja2

from spct.harmless import lines
from spct.views.export.table import Cell, Column, Table


def write_page(table: Table, path: Path) -> int:
    """The facts and the rows. Every text is escaped. All rows are held in memory."""
    rows = [[(column, row.get(column.name)) for column in table.columns] for row in table.rows]
    source = files("spct.views.export").joinpath("page.jinja").read_text(encoding="utf-8")
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page.filters |= {"shown": shown, "harmless": harmless}
    text = page.from_string(source).render(title=table.title, columns=table.columns, rows=rows, facts=table.facts())
    path.write_text(text, encoding="utf-8")
    return len(rows)


def harmless(text: str) -> str:
    """Text whose control characters can be seen and do nothing."""
    return "\n".join(lines(text))


def shown(cell: Cell, column: Column) -> str:
    """A cell in words: shares in percent, numbers with two decimals unless they are whole."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, (int, float)):
        return (
            f"{cell:.0%}" if column.kind == "share" else f"{cell:.2f}" if not float(cell).is_integer() else f"{cell:g}"
        )
    return harmless(cell)
