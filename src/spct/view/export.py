"""A run as one HTML file that opens without a server: summary, plots, items with their judgments folded.

Styles and scripts stand in the file, under a policy that allows just these by their hashes; nothing else can run or load.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import orjson

from spct.errors import InputError, RunError
from spct.harmless import lines
from spct.run import RunStore
from spct.view.across_page import across
from spct.view.index import Query, query_of
from spct.view.item_page import ItemReader
from spct.view.library import Library
from spct.view.pages.page import Viewer, templates
from spct.view.runs_page import run_card
from spct.wording import count

MOST_BYTES = 20_000_000
MOST_TEXT = 20_000
STYLES = ("uPlot.min.css", "view.css")
SCRIPTS = ("uPlot.iife.min.js", "plot.js", "view.js")
ALL_S = 3600.0


def export_run(
    library: Library,
    file: Path,
    show: Sequence[str] = (),
    most_bytes: int = MOST_BYTES,
    prices: str | None = None,
) -> str:
    """Write the one run of ``library`` to ``file``, with the items that ``show`` (as in a grid) names; what was done.

    Items are left out once those before them have more than ``most_bytes``. ``prices`` (as of ``find_prices``) say what the run
    and its items cost.

    Raises InputError for none or several runs or an unknown filter, RunError where the file cannot be written.
    """
    names = list(library.runs())
    if len(names) != 1:
        raise InputError(f"got {count(len(names), 'run')} to export; name one run directory")
    name, query = names[0], query_of([("show", one) for one in show])
    text, said = _page(library, name, query, most_bytes, prices)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{file}: cannot be written: {error}") from error
    return f"written: {file}, {said}"


def _page(library: Library, name: str, query: Query, most_bytes: int, prices: str | None) -> tuple[str, str]:
    index = library.index(name)
    index.update(ALL_S)
    card = run_card(library, name, prices=prices)
    item_page = templates().get_template("export_item.html")
    with index.reading() as db, contextlib.closing(RunStore.open(index.directory)) as store:
        where, values = query.where()
        positions = [
            row[0] for row in db.execute(f"SELECT position FROM cells WHERE {where} ORDER BY position", values)
        ]
        found = across(index.directory, db)
        reader = ItemReader(store, longest=MOST_TEXT, prices=prices)
        items: list[str] = []
        size = 0
        for position in positions:
            shown = reader.page(reader.stored(position, store.verdict_row(position)))
            items.append(
                item_page.render(item=shown, export=True, here=None, pre=f"i{position}-", compared=None, labels=[])
            )
            size += len(items[-1])
            if size > most_bytes:
                break
    left = len(positions) - len(items)
    said = f"{len(items):,} of {count(card.items, 'item')}" + (f"; {left:,} left out for size" if left else "")
    style, script = ("".join(map(_static, names)) for names in (STYLES, SCRIPTS))
    policy = (
        f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src {_hash(style)}; "
        f"script-src {_hash(script)}"
    )
    text = templates().get_template("export.html").render(
        viewer=Viewer(library), path="", export=True, run=name, card=card, query=query, items=items, found=found, left=left,
        policy=policy, style=style, script=script, longest=MOST_TEXT, settings=_settings(index.directory),
    )  # fmt: skip
    return text, said


def _settings(directory: Path) -> str:
    with contextlib.closing(RunStore.open(directory)) as store:
        text = orjson.dumps(store.settings, option=orjson.OPT_INDENT_2).decode()
        return "\n".join(lines(text))


def _static(name: str) -> str:
    return (files("spct.view") / "static" / name).read_text("utf-8") + "\n"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
