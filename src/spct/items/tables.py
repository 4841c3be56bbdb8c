"""Rows of CSV, TSV and workbooks (XLSX, ODS, XLS): a header and cells below it -> dicts by column, with what was made of it.

Empty cells are None. A row of empty cells is left out. A cell of CSV is text; a cell of a workbook is text, a number, true
or false, or a date in its ISO form.
"""

from __future__ import annotations

import csv
import datetime
import importlib
import io
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from spct.errors import InputError
from spct.items.encoding import text_encoding
from spct.items.source import RowFile

DELIMITERS = ",;\t|"
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
LONGEST_CELL = 2**31 - 1
_CELL = re.compile(rb"<c ([^>]*[^/>])>(.*?)</c>", re.DOTALL)
_REFERENCE = re.compile(rb'\br="([A-Z]+[0-9]+)"')
_SEP = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
"""The first line by which a file tells Excel its delimiter."""

Row = tuple[str, dict[str, Any]]


def csv_rows(file: RowFile, encoding: str | None, note: Callable[[str], None]) -> Iterator[Row]:
    """The rows of delimited text, each with its line. ``note`` is told the delimiter, and an encoding that is not UTF-8.

    Raises InputError for a bad header, for rows with more or fewer cells than it, and for quotes that do not fit.
    """
    stream = file.stream if file.stream.seekable() else io.BytesIO(file.stream.read())
    found, doubt = text_encoding(stream, file.name, encoding or file.encoding)
    if doubt:
        note(doubt)
    text = io.TextIOWrapper(stream, found, newline="")
    try:
        yield from _delimited(file, text, note)
    finally:
        if not stream.closed:
            text.detach()  # closing the stream is for whoever opened it


def _delimited(file: RowFile, text: io.TextIOWrapper, note: Callable[[str], None]) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_CELL)
    start = text.tell()
    head = text.read(1 << 16)
    told = _SEP.match(head)
    text.seek(start)
    if told:
        text.readline()
    delimiter = told[1] if told else _delimiter(head)
    note(f"a table whose cells are separated by {NAMES.get(delimiter, repr(delimiter))}")
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    columns: list[str] | None = None
    line = at = file.line + bool(told)
    try:
        for cells in reader:
            line, at = at, file.line + bool(told) + reader.line_num
            if all(not cell or cell.isspace() for cell in cells):
                continue
            where = f"{file.name}, line {line}"
            if columns is None:
                columns = _header(cells, where)
            else:
                yield where, _by_column(columns, [cell or None for cell in cells], where)
    except csv.Error as error:
        raise InputError(f"{file.name}, line {at}: not readable as CSV: {error}; is a quote missing?") from error


def _delimiter(head: str) -> str:
    """The character that splits the header into most cells; a comma where none does."""
    counts = {}
    for delimiter in DELIMITERS:
        try:
            cells = next((row for row in csv.reader(io.StringIO(head), delimiter=delimiter) if row), [])
        except csv.Error:
            cells = []
        counts[delimiter] = len(cells)
    return max(DELIMITERS, key=lambda delimiter: counts[delimiter])


def sheet_rows(file: RowFile, sheet: str | None, note: Callable[[str], None]) -> Iterator[Row]:
    """The rows of one sheet of a workbook: the one named, else the first that is visible and has any.

    ``note`` is told which. Raises InputError for a workbook that cannot be read or has no such sheet.
    """
    try:
        calamine = importlib.import_module("python_calamine")
    except ImportError as error:
        raise InputError(f"{file.name}: a workbook needs python-calamine: pip install 'spct[sheets]'") from error
    data = file.stream.read()
    try:
        book = calamine.load_workbook(io.BytesIO(data))
        chosen, rows = _sheet(book, sheet, file.name, str(calamine.SheetVisibleEnum.Visible))
    except calamine.CalamineError as error:
        raise InputError(f"{file.name}: not readable as a workbook: {error}") from error
    note(f"sheet {chosen!r}" + ("" if len(book.sheet_names) == 1 else f" of {', '.join(map(repr, book.sheet_names))}"))
    if lost := _valueless(data):
        note(
            f"cells that hold a formula without a computed value, or an error, and were read as empty: {len(lost)} (the first: "
            f"{lost[0]}); open the workbook in a spreadsheet program and save it, or put values in their place"
        )
    columns: list[str] | None = None
    for number, cells in enumerate(rows, 1):
        values = [_cell(value) for value in cells]
        if all(value is None for value in values):
            continue
        where = f"{file.name}, sheet {chosen!r}, row {number}"
        if columns is None:
            columns = _header([str(value or "") for value in values], where)
        else:
            yield where, _by_column(columns, values, where)


def _sheet(book: Any, named: str | None, name: str, visible: str) -> tuple[str, list[list[Any]]]:
    sheets: list[str] = list(book.sheet_names)
    if named is not None and named not in sheets:
        raise InputError(f"{name}: got no sheet {named!r}; expected one of {', '.join(map(repr, sheets))}")
    shown = [meta.name for meta in book.sheets_metadata if str(meta.visible) == visible]
    for sheet in [named] if named is not None else [*shown, *sheets]:
        rows = list(book.get_sheet_by_name(sheet).iter_rows())
        if rows or named is not None:
            return sheet, rows
    raise InputError(f"{name}: got a workbook without a filled cell; expected a header and rows below it")


def _valueless(data: bytes) -> list[str]:
    """Cells of an XLSX file that have a formula and no value, or an error: calamine gives nothing for them."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return []
    found = []
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for part in archive.namelist():
            if part.startswith("xl/worksheets/") and part.endswith(".xml"):
                for cell in _CELL.finditer(archive.read(part)):
                    if (b"<f" in cell[2] and b"<v>" not in cell[2]) or b't="e"' in cell[1]:
                        found += [name[1].decode() for name in [_REFERENCE.search(cell[1])] if name]
    return found


def _cell(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    return value if not isinstance(value, str) or value.strip() else None


def _header(cells: Sequence[str], where: str) -> list[str]:
    """The names of the columns; one without a name is called by its place."""
    names = [cell.strip() or f"column {place}" for place, cell in enumerate(cells, 1)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{where}: got the column {twice[0]!r} twice; expected each name once in the header")
    return names


def _by_column(columns: Sequence[str], cells: Sequence[Any], where: str) -> dict[str, Any]:
    last = max((place for place, value in enumerate(cells, 1) if value is not None), default=0)
    if last > len(columns) or len(cells) < len(columns):
        raise InputError(
            f"{where}: got {max(last, len(cells))} cells; expected {len(columns)}, as in the header: a text with the "
            "delimiter or a line break in it needs quotes around it"
        )
    return dict(zip(columns, cells, strict=False))
