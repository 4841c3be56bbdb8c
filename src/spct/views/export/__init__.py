"""A run as a table in a file, for people and for other programs: a row for each item, or for each response.

``table.py`` is the contract, ``rows.py`` makes the table of a run, and each writer takes any table. To add a form: a
function from a table and an open path to a file, and its suffix in ``FORMS``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from spct.errors import InputError, RunError
from spct.loading import imported
from spct.views.export.rows import Rows, run_table
from spct.views.export.table import Table

FORMS = {
    ".csv": "spct.views.export.flat:write_csv",
    ".tsv": "spct.views.export.flat:write_tsv",
    ".jsonl": "spct.views.export.flat:write_jsonl",
    ".parquet": "spct.views.export.flat:write_parquet",
    ".md": "spct.views.export.markdown:write_markdown",
    ".html": "spct.views.export.page:write_page",
    ".xlsx": "spct.views.export.workbook:write_workbook",
}
"""The suffix of a file, and what writes it."""

__all__ = ["FORMS", "Rows", "Table", "check_form", "run_table", "write_table"]


def check_form(path: Path) -> None:
    """Raise InputError for a name whose suffix is none of ``FORMS``."""
    if path.suffix.lower() not in FORMS:
        raise InputError(
            f"{path}: got {path.suffix or 'no suffix'}; expected a name that ends in one of {', '.join(FORMS)}"
        )


def write_table(table: Table, path: Path) -> int:
    """Write the table in the form that the name of ``path`` says, in place of what is there; the number of rows.

    The file appears whole or not at all. Raises InputError for an unknown form or where a library for it is missing,
    RunError where it cannot be written.
    """
    check_form(path)
    try:
        with tempfile.TemporaryDirectory(prefix=".spct-export-", dir=path.parent) as folder:
            partial = Path(folder) / path.name
            count: int = imported(FORMS[path.suffix.lower()])(table, partial)
            partial.replace(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error
    return count
