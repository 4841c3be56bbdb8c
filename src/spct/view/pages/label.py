"""Labelling: one item after the other, blind, by keyboard; and how far people and judge agree.

The responses stand in an order drawn for each person and item and are called 1, 2, 3; nothing that a judge said is shown
before the label is saved.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from spct.errors import InputError
from spct.rubrics import Rubric
from spct.run import RunStore
from spct.run.criteria_labels import asked_of, by_criterion
from spct.run.labels import Label, add_label, labels_of
from spct.run.stored import stored_settings, written_rubric
from spct.types import Item
from spct.view.agreement import agreement
from spct.view.item_page import ItemReader
from spct.view.label_form import entry_of, shuffled, task_of
from spct.view.pages.items import flips_against
from spct.view.pages.page import Viewer, asked, page, viewer

HANDED_S = 120.0
"""An item is not handed to a second window for so long, unless it is asked for by name."""
MOST_BODY = 1_000_000


def overview(request: Request) -> Response:
    """Who labelled how much, and the agreement with the judge and between people."""
    name = request.path_params["run"]
    directory = viewer(request).library.path(name)
    labels = labels_of(directory)
    counts = Counter(person for given in labels.values() for person, label in given.items() if label.entry is not None)
    skipped = Counter(person for given in labels.values() for person, label in given.items() if label.entry is None)
    return page(
        request,
        "labels.html",
        run=name,
        query=asked(request),
        counts=counts,
        skipped=skipped,
        found=agreement(directory, labels),
        directory=directory,
    )


def following(request: Request) -> Response:
    """On to the next item without a label of this person, in the order of the filters."""
    name, query = request.path_params["run"], asked(request)
    seen, library = viewer(request), viewer(request).library
    person = _labeller(seen)
    done = {position for position, given in labels_of(library.path(name)).items() if person in given}
    index = library.index(name)
    index.update()
    with index.reading() as db:
        flips_against(db, library, query)
        where, values = query.where()
        found = db.execute(f"SELECT position FROM cells WHERE {where} ORDER BY {query.order()}", values)
        left = [row[0] for row in found if row[0] not in done]
    if not left:
        return RedirectResponse(f"/run/{quote(name)}/labels?{query.address()}&done=1", 303)
    now = time.monotonic()
    free = [place for place in left if now - seen.handed.get((name, place), -HANDED_S) >= HANDED_S]
    position = (free or left)[0]
    seen.handed[name, position] = now
    after = request.query_params.get("after", "")
    told = f"&after={after}" if after.isdigit() else ""
    return RedirectResponse(f"/run/{quote(name)}/label/{position}?{query.address()}{told}", 303)


def label(request: Request) -> Response:
    """The page on which an item is labelled."""
    return _label_page(request)


async def save(request: Request) -> Response:
    """Keep what the form says, and go on."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            raise InputError(f"got a form of more than {MOST_BODY:,} bytes; a note is shorter than that")
    form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return await run_in_threadpool(_save, request, form)


def _save(request: Request, form: Mapping[str, str]) -> Response:
    seen, name, position = viewer(request), request.path_params["run"], request.path_params["position"]
    person, directory = _labeller(seen), viewer(request).library.path(request.path_params["run"])
    with contextlib.closing(RunStore.open(directory)) as store:
        item, rubric = _item(store, position), _rubric(seen, store)
    try:
        order = shuffled(person, item)
        entry = None if form.get("do") == "skip" else entry_of(form, task_of(seen.task, item), order, rubric)
        add_label(directory, item, Label(time.time(), person, position, entry, form.get("note", "").strip() or None))
    except InputError as error:
        return _label_page(request, str(error), form)
    query = asked(request)
    return RedirectResponse(f"/run/{quote(name)}/label?{query.address()}&after={position}", 303)


def _label_page(request: Request, problem: str = "", form: Mapping[str, str] | None = None) -> Response:
    seen, name, position = viewer(request), request.path_params["run"], request.path_params["position"]
    person, directory = _labeller(seen), seen.library.path(name)
    after = request.query_params.get("after", "")
    given = labels_of(directory)
    with contextlib.closing(RunStore.open(directory)) as store:
        reader = ItemReader(store)
        item, rubric = _item(store, position), _rubric(seen, store)
        order = shuffled(person, item)
        blind = reader.blind(item, order)
        last = None
        if after.isdigit() and store.has_item(int(after)) and person in given.get(int(after), {}):
            before = reader.stored(int(after), store.verdict_row(int(after)))
            last = (before, given[int(after)][person])
    return page(
        request,
        "label.html",
        400 if problem else 200,
        run=name,
        position=position,
        blind=blind,
        n=len(order),
        task=task_of(seen.task, item),
        rubric=rubric,
        query=asked(request),
        mine=given.get(position, {}).get(person),
        done=sum(person in of_item for of_item in given.values()),
        last=last,
        problem=problem,
        form=form or {},
        by_criterion=by_criterion,
    )


def _item(store: RunStore, position: int) -> Item:
    if not store.has_item(position):
        raise InputError(f"the run has no item at place {position}, or has not begun it yet")
    return store.item(position)


def _rubric(seen: Viewer, store: RunStore) -> Rubric | None:
    """The criteria that a labeller is asked: those that were given, else those of the run's rubric; None under another task."""
    if seen.task != "criteria":
        return None
    found = seen.criteria or written_rubric(stored_settings(store)[0])
    if found is None:
        raise InputError("this run was judged by no rubric: name criteria with spct view --criterion 'NAME: QUESTION'")
    return asked_of(found)


def _labeller(seen: Viewer) -> str:
    if seen.labeller is None:
        raise InputError("this viewer keeps no labels: start it with spct view --label NAME to give some")
    return seen.labeller
