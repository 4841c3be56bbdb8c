"""Across a run, and two runs against each other."""

from __future__ import annotations

import contextlib
import importlib.util
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from spct.errors import InputError, SpctError
from spct.harmless import line
from spct.run import RunStore
from spct.view.across_page import NEEDED
from spct.view.across_page import across as found_across
from spct.view.item_page import ItemReader
from spct.view.pages.page import page, viewer

MOST_FLIPS = 200
NEITHER = "Neither is known to be better"


def across(request: Request) -> Response:
    """Curves, score use, calibration, audit and principles of a run."""
    name, library = request.path_params["run"], viewer(request).library
    index = library.index(name)
    index.update()
    with index.reading() as db:
        found = index.remembered("across", lambda: found_across(index.directory, db))
    return page(request, "across.html", run=name, found=found)


def compare(request: Request) -> Response:
    """The paired difference of two runs, and the items on which they choose otherwise, critiques side by side."""
    library = viewer(request).library
    a, b = request.query_params.get("a", ""), request.query_params.get("b", "")
    for name in (a, b):
        if name not in library.runs():
            raise InputError(f"{name!r}: there is no such run here; choose two of {', '.join(library.runs())}")
    if a == b:
        raise InputError(f"got {a} twice; choose two different runs")
    return page(
        request,
        "compare.html",
        a=a,
        b=b,
        lines=_compared(library.path(a), library.path(b)),
        flips=_flips(request, a, b),
    )


def beside(request: Request) -> Response:
    """One item as two runs judged it: the critiques side by side."""
    library, asked = viewer(request).library, request.query_params
    shown = []
    for name, place in ((asked.get("a", ""), asked.get("at", "")), (asked.get("b", ""), asked.get("other", ""))):
        with contextlib.closing(RunStore.open(library.path(name))) as store:
            if not place.isdigit() or not store.has_item(int(place)):
                raise InputError(f"{name} has no item at place {place!r}")
            reader = ItemReader(store)
            shown.append(reader.page(reader.stored(int(place), store.verdict_row(int(place)))))
    return page(request, "beside.html", a=asked["a"], b=asked["b"], item=shown[0], other=shown[1])


def _compared(a: Path, b: Path) -> list[str]:
    """The comparison in words, as ``spct compare --common`` prints it; or why there is none."""
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        return ["The paired difference needs more packages: pip install 'spct[bench]'"]
    from spct.bench.report import comparison_lines
    from spct.bench.scoring.compare import agree
    from spct.bench.scoring.compare import compare as compare_runs
    from spct.bench.scoring.stored import open_stored

    try:
        first, second = open_stored(a, label=a.name), open_stored(b, label=b.name)
        if first.loaded.units and second.loaded.units:
            told = [line(text) for text in comparison_lines(compare_runs(first, second, common=True))]
            flips = next((at for at, text in enumerate(told) if text.startswith("right in A alone")), len(told))
            return told[:flips]  # the flips have a table of their own
        return [line(text) for text in comparison_lines(agree(first, second, common=True))]
    except SpctError as error:
        return [f"not comparable as benchmarks: {line(str(error))}"]


def _flips(request: Request, a: str, b: str) -> dict[str, list[tuple[str, str, int, int, int, int]]]:
    """The items of the same id on which the two runs choose otherwise, by what that did to A's grade."""
    library = viewer(request).library
    chosen = []
    for name in (a, b):
        index = library.index(name)
        index.update()
        with index.reading() as db:
            rows = db.execute("SELECT id, query, position, best, grade, n FROM cells WHERE best IS NOT NULL AND n > 1")
            chosen.append({row[0]: row for row in rows})
    groups: dict[str, list[tuple[str, str, int, int, int, int]]] = {
        "Right in A alone": [],
        "Right in B alone": [],
        NEITHER: [],
    }
    for id, one in chosen[0].items():
        other = chosen[1].get(id)
        if other is None or other[3] == one[3] or other[5] != one[5]:
            continue
        right = one[4] == "correct", other[4] == "correct"
        kind = NEITHER if right[0] == right[1] else f"Right in {'A' if right[0] else 'B'} alone"
        groups[kind].append((id, one[1], one[2], other[2], one[3], other[3]))
    return {kind: rows[:MOST_FLIPS] for kind, rows in groups.items() if rows}
