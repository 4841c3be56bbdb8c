"""The first page: every run, those that are being written on top."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from spct.errors import InputError, RunError
from spct.view.bench_page import bench_card, is_report
from spct.view.pages.page import page, viewer
from spct.view.runs_page import SORTS, RunCard, Unreadable, run_cards
from spct.view.training_page import training

T = TypeVar("T")
MOST_REASONS = 5
"""Reasons for want of a price that are listed."""


def runs(request: Request) -> Response:
    """``q`` narrows to runs whose name, model or judge holds it; ``sort`` is a column, with a minus for the greatest first."""
    words = request.query_params.get("q", "").strip()
    sort = request.query_params.get("sort") or "-started"
    column = sort.removeprefix("-")
    if column not in SORTS:
        raise InputError(f"sort={sort}: expected one of {', '.join(SORTS)}, with a minus for the greatest first")
    library = viewer(request).library
    cards, bad = run_cards(library, prices=viewer(request).prices)
    found = [card for card in cards if words.lower() in f"{card.name} {card.model} {card.judge}".lower()]
    known = [card for card in found if getattr(card, column) is not None]
    known.sort(key=lambda card: (getattr(card, column), card.name), reverse=sort.startswith("-"))
    found = known + [card for card in found if getattr(card, column) is None]
    found.sort(key=lambda card: not card.live)
    trainings, unread = _read(library.folders("training"), training)
    reports = {name: folder for name, folder in library.folders("bench").items() if is_report(folder)}
    benches, unread_benches = _read(reports, bench_card)
    reasons = sorted({card.cost.words for card in found if card.cost and card.cost.value is None})
    return page(
        request,
        "runs.html",
        cards=found,
        bad=[*bad, *unread, *unread_benches],
        words=words,
        sort=sort,
        of=len(cards),
        busy=any(map(_busy, cards)),
        reasons=reasons[:MOST_REASONS],
        trainings=trainings,
        benches=benches,
        pipelines=list(library.folders("pipeline")),
    )


def _busy(card: RunCard) -> bool:
    return card.live or not card.indexed


def _read(folders: Mapping[str, Path], reading: Callable[[str, Path], T]) -> tuple[list[T], list[Unreadable]]:
    """What each folder is in a line, and which cannot be read."""
    found: list[T] = []
    bad: list[Unreadable] = []
    for name, folder in folders.items():
        try:
            found.append(reading(name, folder))
        except RunError as error:
            bad.append(Unreadable(name, str(error)))
    return found, bad
