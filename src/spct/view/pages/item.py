"""The page of an item, what stands behind each of its judgments, and its texts on their own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from spct.errors import InputError
from spct.harmless import lines
from spct.items.names import letter
from spct.run import RunStore
from spct.run.criteria_labels import by_criterion
from spct.run.labels import CRITERIA, Label, labelled, labels_of
from spct.types import Item
from spct.view.index.query import neighbours
from spct.view.item_page import ItemReader
from spct.view.markup import difference
from spct.view.pages.items import flips_against
from spct.view.pages.page import asked, page, viewer
from spct.views.item_text import truth_text


@contextlib.contextmanager
def reading(request: Request) -> Iterator[tuple[RunStore, ItemReader]]:
    """The run of the address, open."""
    directory = viewer(request).library.path(request.path_params["run"])
    with contextlib.closing(RunStore.open(directory)) as store:
        yield store, ItemReader(store, raw=bool(request.query_params.get("raw")), prices=viewer(request).prices)


def item(request: Request) -> Response:
    """One item; the filters in the address say which item is next."""
    name, position = request.path_params["run"], request.path_params["position"]
    library, query = viewer(request).library, asked(request)
    index = library.index(name)
    index.update()
    with reading(request) as (store, reader):
        _check_there(store, position)
        stored = reader.stored(position, store.verdict_row(position))
        shown = reader.page(stored)
        said = labels_of(store.directory, position).get(position, {})
    with index.reading() as db:
        flips_against(db, library, query)
        beside = neighbours(db, query, position)
    pair = _pair(request, len(shown.responses))
    compared = None
    if pair is not None:
        one, other = (stored.item.responses[i] for i in pair)
        compared = (pair, *difference(one, other))
    return page(
        request,
        "item.html",
        run=name,
        item=shown,
        query=query,
        beside=beside,
        raw=bool(request.query_params.get("raw")),
        compared=compared,
        labels=[(one.name, _said(stored.item, one), one.note) for one in said.values()],
    )


def detail(request: Request) -> Response:
    """What stands behind one judgment: exact prompt, raw completion, reasoning."""
    position = request.path_params["position"]
    with reading(request) as (store, reader):
        _check_there(store, position)
        found = reader.detail(reader.stored(position, store.verdict_row(position)), request.path_params["judgment"])
    if found is None:
        raise InputError(f"item {position} has no judgment {request.path_params['judgment']}")
    part = bool(request.headers.get("hx-request"))
    return page(request, "detail.html" if part else "detail_page.html", detail=found, run=request.path_params["run"],
                position=position, judgment=request.path_params["judgment"])  # fmt: skip


def text(request: Request) -> Response:
    """A whole text as plain text: ``response-0``, ``message-1``, or a judgment's ``completion-0.0.0``."""
    position, what = request.path_params["position"], request.path_params["what"]
    kind, _, place = what.partition("-")
    with reading(request) as (store, reader):
        _check_there(store, position)
        stored = reader.stored(position, store.verdict_row(position))
    texts = {
        "response": {str(i): response for i, response in enumerate(stored.item.responses)},
        "message": {str(i): message.content for i, message in enumerate(stored.item.messages)},
        "completion": {f"{j.index}.{j.block}.{j.attempt}": j.text for j in stored.verdict.judgments},
    }
    if place not in texts.get(kind, {}):
        raise InputError(f"item {position} has no text {what}")
    return PlainTextResponse("\n".join(lines(texts[kind][place])))


def _check_there(store: RunStore, position: int) -> None:
    if not store.has_item(position):
        raise InputError(f"the run has no item at place {position}, or has not begun it yet")


def _said(item: Item, label: Label) -> str:
    """A person's label in words."""
    truth = None if label.entry is None else labelled(item, {label.name: label}).truth
    if label.entry is None or truth is None:
        return "skipped"
    said = truth_text(truth).replace("the item says that ", "").replace("the item's ", "")
    return f"{by_criterion(label.entry[CRITERIA])}; {said}" if CRITERIA in label.entry else said


def _pair(request: Request, n: int) -> tuple[int, int] | None:
    """The two responses whose difference is asked for, as ``diff=A-B``."""
    given = request.query_params.get("diff")
    if not given:
        return None
    names = {letter(i): i for i in range(n)}
    one, _, other = given.partition("-")
    if one not in names or other not in names or one == other:
        raise InputError(f"diff={given}: expected two of {', '.join(names)}, such as A-B")
    return names[one], names[other]
