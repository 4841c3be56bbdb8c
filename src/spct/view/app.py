"""The application: which address is which page, the files beside them, and errors as pages."""

from __future__ import annotations

from collections.abc import Collection
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from spct.errors import InputError, RunError, SpctError
from spct.serve.auth import Keys
from spct.view.guard import Guard
from spct.view.pages.across import across, beside, compare
from spct.view.pages.item import detail, item, text
from spct.view.pages.items import items
from spct.view.pages.label import following, label, overview, save
from spct.view.pages.page import Viewer, page
from spct.view.pages.runs import runs
from spct.view.pages.training import bench, pipeline, rollouts, training

STATIC = {
    "htmx.min.js": "text/javascript",
    "uPlot.iife.min.js": "text/javascript",
    "plot.js": "text/javascript",
    "view.js": "text/javascript",
    "uPlot.min.css": "text/css",
    "view.css": "text/css",
}

ROUTES = [
    Route("/", runs),
    Route("/run/{run}/", items),
    Route("/run/{run}/item/{position:int}", item),
    Route("/run/{run}/item/{position:int}/judgment/{judgment}", detail),
    Route("/run/{run}/item/{position:int}/text/{what}", text),
    Route("/run/{run}/across", across),
    Route("/training/{name}", training),
    Route("/training/{name}/rollouts", rollouts),
    Route("/pipeline/{name}", pipeline),
    Route("/bench/{name}", bench),
    Route("/compare", compare),
    Route("/beside", beside),
    Route("/run/{run}/labels", overview),
    Route("/run/{run}/label", following),
    Route("/run/{run}/label/{position:int}", label),
    Route("/run/{run}/label/{position:int}", save, methods=["POST"]),
]


def create_app(viewer: Viewer, *, keys: Keys | None = None, hosts: Collection[str] | None = ()) -> Starlette:
    """The ASGI application. ``keys`` None lets everyone in; ``hosts`` as in ``Guard``."""
    guard = Middleware(Guard, keys=keys or Keys(), hosts=hosts)
    app = Starlette(
        routes=[*ROUTES, Route("/static/{name}", static)],
        middleware=[guard],
        exception_handlers={SpctError: _said, HTTPException: _not_found},
    )
    app.state.viewer = viewer
    return app


def static(request: Request) -> Response:
    """A file of the package."""
    name = request.path_params["name"]
    if name not in STATIC:
        raise HTTPException(404)
    content = (files("spct.view") / "static" / name).read_bytes()
    return Response(content, media_type=STATIC[name], headers={"cache-control": "no-cache"})


async def _said(request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, RunError) else 400 if isinstance(error, InputError) else 500
    return page(request, "error.html", status, message=str(error))


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"There is no page {request.url.path}." if error.status_code == 404 else str(error.detail)
    return page(request, "error.html", error.status_code, message=message)
