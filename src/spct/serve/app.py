"""The application: routes, errors and the layer around them, over the judges of one server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

import spct
from spct.serve.auth import Keys
from spct.serve.document import DESCRIPTION, document_of
from spct.serve.edge import Edge
from spct.serve.log import JsonLog
from spct.serve.metrics import Metrics
from spct.serve.problems import problem
from spct.serve.routes import ROUTERS
from spct.serve.state import ServerState

_NAMES = {404: "NotFound", 405: "MethodNotAllowed"}


def create_app(
    serving: ServerState, *, keys: Keys | None = None, metrics: Metrics | None = None, log: JsonLog | None = None
) -> FastAPI:
    """The ASGI application of ``serving``, which starts its judges with the application and closes them with it.

    ``keys`` None lets everyone in. ``metrics`` are those that the judges' ``on_judged`` tells, if it tells any.
    """
    metrics = metrics or Metrics()
    metrics.watch(serving)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with serving:
            yield

    app = FastAPI(
        title="spct",
        version=spct.__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.serving, app.state.metrics = serving, metrics
    for router in ROUTERS:
        app.router.routes += router.routes  # include_router would match each request twice
    keys = keys or Keys()
    app.openapi = cache(partial(document_of, app, keyed=bool(keys.digests)))  # type: ignore[method-assign]
    app.add_exception_handler(HTTPException, _http_problem)
    paths = frozenset(getattr(route, "path", "") for router in ROUTERS for route in router.routes)
    app.add_middleware(
        Edge, serving=serving, keys=keys, metrics=metrics, log=log or JsonLog(requests=False), routes=paths
    )
    return app


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    name = _NAMES.get(error.status_code, "InternalError" if error.status_code >= 500 else "InputError")
    return problem(error.status_code, name, str(error.detail), dict(error.headers or {}))
