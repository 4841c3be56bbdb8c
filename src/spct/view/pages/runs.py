"""The first page: every run, those that are being written on top."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from spct.errors import InputError, RunError
from spct.view.pages.page import page, viewer
from spct.view.runs_page import SORTS, RunCard, Unreadable, run_cards
from spct.view.training_page import Training, training, trainings_below


def runs(request: Request) -> Response:
    """``q`` narrows to runs whose name, model or judge holds it; ``sort`` is a column, with a minus for the greatest first."""
    words = request.query_params.get("q", "").strip()
    sort = request.query_params.get("sort") or "-started"
    column = sort.removeprefix("-")
    if column not in SORTS:
        raise InputError(f"sort={sort}: expected one of {', '.join(SORTS)}, with a minus for the greatest first")
    cards, bad = run_cards(viewer(request).library)
    found = [card for card in cards if words.lower() in f"{card.name} {card.model} {card.judge}".lower()]
    known = [card for card in found if getattr(card, column) is not None]
    known.sort(key=lambda card: (getattr(card, column), card.name), reverse=sort.startswith("-"))
    found = known + [card for card in found if getattr(card, column) is None]
    found.sort(key=lambda card: not card.live)
    trainings, unread = _trainings(viewer(request).library.roots)
    busy = any(map(_busy, cards))
    return page(request, "runs.html", cards=found, bad=[*bad, *unread], words=words, sort=sort, of=len(cards), busy=busy,
                trainings=trainings)  # fmt: skip


def _busy(card: RunCard) -> bool:
    return card.live or not card.indexed


def _trainings(roots: Iterable[Path]) -> tuple[list[Training], list[Unreadable]]:
    found: list[Training] = []
    bad: list[Unreadable] = []
    for name, folder in trainings_below(roots).items():
        try:
            found.append(training(name, folder))
        except RunError as error:
            bad.append(Unreadable(name, str(error)))
    return found, bad
