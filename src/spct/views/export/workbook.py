"""A table as a formatted workbook (XLSX): a sheet of the rows, and before it one that sums up the run.

Every text is written as text, so that nothing in it is a formula or a link, whatever it begins with.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from spct.errors import InputError
from spct.views.export.table import Cell, Kind, Table

MOST_ROWS = 1_048_575
LONGEST = 32_767
"""Rows below a header, and characters of a cell, that a workbook can hold."""
CUT = " [cut: a cell holds no more]"
WIDTHS: dict[Kind, int] = {"text": 46, "word": 13, "number": 9, "count": 8, "share": 11, "flag": 8}
FORMATS: dict[Kind, str] = {"number": "0.00", "count": "0", "share": "0%"}
ID_WIDTH = 20
ROW_HEIGHT = 75
GOOD, BAD, EVEN, HEAD = "#C6EFCE", "#FFC7CE", "#FFEB9C", "#1F3864"
GRADES = {"correct": GOOD, "wrong": BAD, "invalid": BAD, "tied": EVEN}


def write_workbook(table: Table, path: Path) -> int:
    """Write both sheets; the number of rows. Raises InputError without xlsxwriter, and for more rows than a sheet holds."""
    try:
        xlsxwriter = importlib.import_module("xlsxwriter")
    except ImportError as error:
        raise InputError("XLSX needs xlsxwriter: pip install 'spct[sheets]'") from error
    if table.count > MOST_ROWS:
        raise InputError(f"got {table.count:,} rows; a sheet holds {MOST_ROWS:,}: export to .parquet or .csv")
    with xlsxwriter.Workbook(
        path, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    ) as book:
        summary, sheet = book.add_worksheet("Summary"), book.add_worksheet("Verdicts")
        for one in (summary, sheet):  # so that a print is one page wide
            one.set_landscape()
            one.fit_to_pages(1, 0)
        count = _rows(book, sheet, table)
        _summary(book, summary, table)
        sheet.activate()
    return count


def _rows(book: Any, sheet: Any, table: Table) -> int:
    head = book.add_format({"bold": True, "font_color": "white", "bg_color": HEAD, "text_wrap": True, "valign": "top"})
    formats = {
        kind: book.add_format(
            {"valign": "top", "text_wrap": kind == "text", "num_format": FORMATS.get(kind, "General")}
        )
        for kind in WIDTHS
    }
    for place, column in enumerate(table.columns):
        sheet.set_column(place, place, ID_WIDTH if place == 0 else WIDTHS[column.kind], formats[column.kind])
        sheet.write_string(0, place, column.title, head)
    sheet.freeze_panes(1, 1)
    sheet.repeat_rows(0)
    count = 0
    for count, row in enumerate(table.rows, 1):
        sheet.set_row(count, ROW_HEIGHT)
        for place, column in enumerate(table.columns):
            _write(sheet, count, place, row.get(column.name), formats[column.kind])
    sheet.autofilter(0, 0, count, len(table.columns) - 1)
    _colours(book, sheet, table.columns, count)
    return count


def _write(sheet: Any, row: int, column: int, cell: Cell, shape: Any) -> None:
    if isinstance(cell, bool):
        sheet.write_boolean(row, column, cell, shape)
    elif isinstance(cell, str):
        sheet.write_string(row, column, cell if len(cell) <= LONGEST else cell[: LONGEST - len(CUT)] + CUT, shape)
    elif cell is not None:
        sheet.write_number(row, column, cell, shape)


def _colours(book: Any, sheet: Any, columns: Any, count: int) -> None:
    """Grades in green, red and yellow, the confidence as a bar, first places in green."""
    if not count:
        return
    for place, column in enumerate(columns):
        cells = (1, place, count, place)
        if column.name == "outcome":
            for grade, colour in GRADES.items():
                shape = book.add_format({"bg_color": colour})
                sheet.conditional_format(
                    *cells, {"type": "cell", "criteria": "==", "value": f'"{grade}"', "format": shape}
                )
        elif column.name == "confidence":
            bar = {
                "type": "data_bar",
                "bar_color": "#9DC3E6",
                "min_type": "num",
                "max_type": "num",
                "min_value": 0,
                "max_value": 1,
            }
            sheet.conditional_format(*cells, bar)
        elif column.name == "judge_rank" or column.name.startswith("rank_"):
            shape = book.add_format({"bg_color": GOOD})
            sheet.conditional_format(*cells, {"type": "cell", "criteria": "==", "value": 1, "format": shape})


def _summary(book: Any, sheet: Any, table: Table) -> None:
    title = book.add_format({"bold": True, "font_size": 14})
    label = book.add_format({"bold": True, "valign": "top"})
    text = book.add_format({"text_wrap": True, "valign": "top"})
    sheet.set_column(0, 0, 18)
    sheet.set_column(1, 1, 100)
    sheet.hide_gridlines(2)
    sheet.write_string(0, 0, f"Verdicts of {table.title}", title)
    row = 2
    for name, fact in table.facts():
        _write(sheet, row, 0, name, label)
        _write(sheet, row, 1, fact, text)
        row += 1
    row += 1
    sheet.write_string(row, 0, "Columns", title)
    for column in table.columns:
        row += 1
        _write(sheet, row, 0, column.title, label)
        _write(sheet, row, 1, column.meaning, text)
