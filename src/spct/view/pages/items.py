"""The items of a run: a grid with filters that live in the address."""

from __future__ import annotations

import sqlite3
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from spct.errors import InputError
from spct.view.index import Query
from spct.view.index.query import Facet, facets, find
from spct.view.library import Library
from spct.view.pages.page import asked, page, viewer
from spct.view.runs_page import run_card


def items(request: Request) -> Response:
    """The page of items that the address asks for."""
    library, name = viewer(request).library, request.path_params["run"]
    query = asked(request)
    card = run_card(library, name, prices=viewer(request).prices)
    index = library.index(name)
    with index.reading() as db:
        flips_against(db, library, query)
        found = find(db, query)
        progress = index.progress(db)
        shared = facets(db)
        known = dict(query.extras)
        shared += [Facet(key, [(value, 0)]) for key, value in known.items() if key not in {f.key for f in shared}]
        others = [other for other in library.runs() if other != name]
    answer = page(
        request,
        "items.html",
        run=name,
        card=card,
        query=query,
        found=found,
        progress=progress,
        facets=shared,
        known=known,
        others=others,
        busy=card.live or not progress.complete,
    )
    if request.headers.get("hx-trigger") == "filters":  # the address without the fields that were left empty
        answer.headers["hx-push-url"] = f"{quote(request.url.path)}?{query.address()}"
    return answer


def flips_against(db: sqlite3.Connection, library: Library, query: Query) -> None:
    """Find the items on which another run chooses otherwise, as the table ``flips``, if the query is for these."""
    if not query.against:
        return
    if query.against not in library.runs():
        raise InputError(f"against={query.against}: there is no such run here")
    other = library.index(query.against)
    other.update()
    db.execute("CREATE TEMP TABLE flips (id TEXT PRIMARY KEY)")
    with other.reading() as theirs:
        chosen = theirs.execute("SELECT id, best FROM cells WHERE best IS NOT NULL AND n > 1").fetchall()
    db.execute("CREATE TEMP TABLE theirs (id TEXT PRIMARY KEY, best INTEGER)")
    db.executemany("INSERT OR IGNORE INTO theirs VALUES (?, ?)", chosen)
    db.execute(
        "INSERT OR IGNORE INTO flips SELECT c.id FROM cells c JOIN theirs t ON t.id = c.id "
        "WHERE c.best IS NOT NULL AND c.best != t.best"
    )
