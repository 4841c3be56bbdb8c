"""Labelling: one item after the other, blind, by keyboard; and how far people and judge agree.

The responses stand in an order drawn for each person and item and are called 1, 2, 3; nothing that a judge said is shown
before the label is saved.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from spct.errors import InputError
from spct.measures import measured
from spct.measures.case import case_of
from spct.measures.text import kind_lines, kind_title
from spct.run import RunStore
from spct.run.labels import Label, add_label, labelled, labels_of
from spct.run.stored import stored_item, stored_scale, stored_settings
from spct.types import Item
from spct.view.item_page import ItemReader
from spct.view.pages.items import flips_against
from spct.view.pages.page import Viewer, asked, page, viewer

TASKS = ("best", "rank", "score")
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
        lines=list(_agreement(directory, labels)),
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
        item = _item(store, position)
    try:
        order = shuffled(person, item)
        entry = None if form.get("do") == "skip" else entry_of(form, task_of(seen, item), order)
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
        item = _item(store, position)
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
        task=task_of(seen, item),
        query=asked(request),
        mine=given.get(position, {}).get(person),
        done=sum(person in of_item for of_item in given.values()),
        last=last,
        problem=problem,
        form=form or {},
    )


def shuffled(person: str, item: Item) -> list[int]:
    """The order in which this person sees the item's responses, the same each time."""
    order = list(range(len(item.responses)))
    random.Random(f"{person}\0{item.id}").shuffle(order)
    return order


def task_of(seen: Viewer, item: Item) -> str:
    """What is asked of an item: a lone response passes, fails or is graded."""
    return ("grade" if seen.task == "score" else "pass") if len(item.responses) == 1 else seen.task


def entry_of(form: Mapping[str, str], task: str, order: Sequence[int]) -> dict[str, Any]:
    """What a form says, as an entry of the item; its numbers count the responses as shown. Raises InputError."""
    n = len(order)
    if task == "pass":
        return {"label": int(_one_of(form, "best", {"pass": "1", "fail": "0"}))}
    if task == "grade":
        return {"grade": _score(form, "1")}
    if task == "score":
        values = {i: _score(form, str(place)) for place, i in enumerate(order, 1)}
        return {"rewards": [values[i] for i in range(n)]}
    if task == "rank":
        return {"ranking": ranking_of(form.get("ranking", ""), order)}
    chosen = _one_of(
        form, "best", {str(place): str(i) for place, i in enumerate(order, 1)} | ({"tie": "tie"} if n == 2 else {})
    )
    return {"label": chosen if chosen == "tie" else int(chosen)} if n == 2 else {"best": int(chosen)}


def ranking_of(text: str, order: Sequence[int]) -> list[list[int]]:
    """``2 1=3`` as the responses of each rank, best first. Raises InputError unless each is named once."""
    groups = [[part for part in group.split("=") if part] for group in text.replace(",", " ").replace(">", " ").split()]
    places = [place for group in groups for place in group]
    if sorted(places) != sorted(str(place) for place in range(1, len(order) + 1)):
        raise InputError(
            f"ranking {text!r}: expected each number from 1 to {len(order)} once, best first, = between equals"
        )
    return [[order[int(place) - 1] for place in group] for group in groups]


def _one_of(form: Mapping[str, str], key: str, choices: Mapping[str, str]) -> str:
    if form.get(key) not in choices:
        raise InputError(f"nothing is chosen; expected one of {', '.join(choices)}, or skip the item")
    return choices[form[key]]


def _score(form: Mapping[str, str], place: str) -> float:
    given = form.get(f"score.{place}", "").strip()
    try:
        score = float(given)
    except ValueError:
        score = 0.0
    if not 1 <= score <= 10:
        raise InputError(f"score of {place}: got {given!r}; expected a number from 1 to 10")
    return score


def _item(store: RunStore, position: int) -> Item:
    if not store.has_item(position):
        raise InputError(f"the run has no item at place {position}, or has not begun it yet")
    return store.item(position)


def _labeller(seen: Viewer) -> str:
    if seen.labeller is None:
        raise InputError("this viewer keeps no labels: start it with spct view --label NAME to give some")
    return seen.labeller


def _agreement(directory: Any, labels: Mapping[int, Mapping[str, Label]]) -> list[str]:
    """The measures of the votes against what people said, and of people against each other, a line each."""
    with contextlib.closing(RunStore.open(directory)) as store:
        written, settings = stored_settings(store)
        scale = stored_scale(store, settings)
        cases = []
        for position, given in labels.items():
            said = {name: one for name, one in given.items() if one.entry is not None}
            row = store.verdict_row(position)
            if not said or row is None:
                continue
            stored = stored_item(store, settings, position, store.item(position), row, written.get("meta"))
            shown = ((j.order, j.scores) for j in stored.verdict.judgments)
            cases.append(case_of(labelled(stored.item, said), stored.verdict.means, shown))
    found = measured([case for case in cases if case is not None], {}, scale)
    return [line for kind in found.kinds for line in (kind_title(kind), *(f"  {text}" for text in kind_lines(kind)))]
