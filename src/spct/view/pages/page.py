"""What all pages share: what the viewer shows, and how a template is filled."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from spct.harmless import line
from spct.items.names import letter, letters
from spct.rubrics import Rubric
from spct.view.index.query import Query, query_of
from spct.view.library import Library
from spct.view.markup import raw
from spct.views.kinds import KINDS
from spct.voting.verdict import number
from spct.wording import percent, spell_seconds

HTMX = '{"includeIndicatorStyles":false,"allowEval":false,"allowScriptTags":false,"selfRequestsOnly":true,"historyCacheSize":0}'


BRIEF = 300
"""Characters of a value that are shown in a list of facts."""
MOST_OPENED = 20_000
"""Characters of one that is opened there."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """What is shown, and for whom labels are kept, if for anyone. ``task`` is what is asked: best, rank, score or criteria.

    ``criteria`` are those asked by the task of that name, None for the run's own; ``prices`` say where those of the models
    are, if anything does. ``handed`` is when an item of a run was last given to a window to be labelled.
    """

    library: Library
    labeller: str | None = None
    task: str = "best"
    criteria: Rubric | None = None
    prices: str | None = None
    handed: dict[tuple[str, int], float] = field(default_factory=dict)


def viewer(request: Request) -> Viewer:
    found = request.app.state.viewer
    assert isinstance(found, Viewer)
    return found


def asked(request: Request) -> Query:
    """The filters in the address. Raises InputError."""
    return query_of(request.query_params.multi_items())


def brief(text: str) -> str:
    """The beginning of a text on one line, and how much of it there is if that is not all."""
    return line(text) if len(text) <= BRIEF else f"{line(text[:BRIEF])} … ({len(text):,} characters)"


@cache
def templates() -> jinja2.Environment:
    """The templates, with everything in them escaped, and anything unknown an error."""
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (files("spct.view") / "templates" / name).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"letter": letter, "letters": letters, "line": line, "brief": brief, "number": number, "spell": spell_seconds,
                     "raw": lambda text: raw(text[:MOST_OPENED]),
                     "percent": lambda share: percent(share, 1), "named": quote}  # fmt: skip
    made.globals |= {"KINDS": KINDS, "HTMX": HTMX, "BRIEF": BRIEF, "now": lambda: datetime.datetime.now(datetime.UTC)}
    return made


def page(request: Request, name: str, status: int = 200, **context: Any) -> HTMLResponse:
    """The template ``name`` as an answer."""
    text = templates().get_template(name).render(viewer=viewer(request), path=request.url.path, export=False, **context)
    return HTMLResponse(text, status)
