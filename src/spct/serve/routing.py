"""How a request becomes a call: read the body within limits, validate it once, answer errors as problems.

In place of FastAPI's own body reading, which parses JSON to Python values and validates those: pydantic reads the bytes
itself, in about a third of the time. FastAPI still describes every route in the OpenAPI document.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, get_type_hints

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError

from spct.errors import BusyError, SpctError
from spct.serve.gone import ClientGone, unless_gone
from spct.serve.limits import Limits
from spct.serve.problems import invalid, problem, problem_of
from spct.serve.shape import ValueCount
from spct.serve.state import Caller, ServerState

LARGE_BYTES = 2**20


def serving_of(request: Request) -> ServerState:
    """What the server of this request shares."""
    serving: ServerState = request.app.state.serving
    return serving


def key_of(request: Request) -> str:
    """The name of the key that the request came with, "" where there are no keys."""
    name: str = request.scope.get("spct.key", "")
    return name


def caller_of(request: Request, judge: str | None = None) -> Caller:
    """Who asks, and whom: the default judge if None. Raises InputError."""
    return serving_of(request).caller(key_of(request), judge)


def caller_of_model(request: Request, model: str | None) -> Caller:
    """The same for a request in another's shape, which has a ``model``. Raises InputError."""
    return caller_of(request, serving_of(request).judge_for(model))


class JudgingRoute(APIRoute):
    """A route whose endpoint is ``async (body, request) -> Response``; it is cancelled when the client goes away.

    An endpoint with a third argument, ``params``, gets the URL's parameters validated as that.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint: Callable[..., Coroutine[Any, Any, Response]] = self.endpoint
        hints = get_type_hints(endpoint, include_extras=True)
        bodies: TypeAdapter[Any] = TypeAdapter(hints["body"])
        params: TypeAdapter[Any] | None = TypeAdapter(hints["params"]) if "params" in hints else None

        async def handle(request: Request) -> Response:
            try:
                # Nothing here may keep the bytes: the endpoint waits for its verdict with the values alone.
                arguments = [bodies.validate_json(await _body(request)), request]
                if params is not None:
                    arguments.append(params.validate_python(dict(request.query_params)))
                if request.scope["spct.body_bytes"] > LARGE_BYTES:
                    await asyncio.sleep(0)  # reading it has held the loop for some milliseconds: others come first
                return await unless_gone(request.receive, endpoint(*arguments))
            except _RefusedError as refused:
                return refused.answer
            except ValidationError as error:
                return invalid(error)
            except SpctError as error:
                request.scope["spct.error"] = type(error).__name__
                return problem_of(error)
            except ClientGone:
                request.scope["spct.error"] = "ClientGone"
                return Response(status_code=499)  # nobody reads it; the log and the counts tell of it

        return handle


class _RefusedError(Exception):
    """The request is answered without being understood."""

    def __init__(self, status: int, type: str, message: str) -> None:
        self.answer = problem(status, type, message)


async def _body(request: Request) -> bytes:
    """The whole body, counted in ``bodies`` until the request has been answered.

    Raises _RefusedError for one that is too large, too slow or not JSON by its own account, BusyError where it and all
    others together are too large.
    """
    key, serving = request.scope.get("spct.key", ""), serving_of(request)
    limits, bodies = serving.limits, serving.bodies
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise _RefusedError(415, "InputError", "expected the header Content-Type: application/json")
    if int(request.headers.get("content-length") or 0) > limits.body_bytes:
        raise _too_large(limits)
    parts: list[bytes] = []
    count, counted = ValueCount(), 0
    size, more = 0, True
    try:
        async with asyncio.timeout(limits.body_s):
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                parts.append(message["body"])
                size, more = size + len(parts[-1]), message["more_body"]
                if size > limits.body_bytes:
                    raise _too_large(limits)
                if not bodies.has_room(key, len(parts[-1])):
                    raise BusyError("the requests that wait are as large as this server takes; ask again later", 2.0)
                bodies.take(key, len(parts[-1]))
                request.scope["spct.body_bytes"] = size  # given back by the layer around the application
                if size > limits.values:  # no text holds more values than bytes
                    for part in parts[counted:]:
                        count.feed(part)
                    counted = len(parts)
                    if count.values > limits.values:
                        what = f"the body holds more than {limits.values} values; this server takes at most that many"
                        raise _RefusedError(422, "InputError", what)
    except TimeoutError:
        raise _RefusedError(408, "DeadlineError", f"the body did not arrive within {limits.body_s:g} s") from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limits: Limits) -> _RefusedError:
    return _RefusedError(
        413, "InputError", f"the body is larger than the {limits.body_bytes} bytes that this server takes"
    )
