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

from spct.errors import SpctError
from spct.serve.gone import ClientGone, unless_gone
from spct.serve.limits import Limits
from spct.serve.problems import invalid, problem, problem_of
from spct.serve.state import ServerState


def serving_of(request: Request) -> ServerState:
    """What the server of this request shares."""
    serving: ServerState = request.app.state.serving
    return serving


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
            raw = await _body(request, serving_of(request).limits)
            if isinstance(raw, Response):
                return raw
            try:
                arguments = [bodies.validate_json(raw), request]
                if params is not None:
                    arguments.append(params.validate_python(dict(request.query_params)))
            except ValidationError as error:
                return invalid(error)
            try:
                return await unless_gone(request.receive, endpoint(*arguments))
            except SpctError as error:
                request.scope["spct.error"] = type(error).__name__
                return problem_of(error)
            except ClientGone:
                return _gone(request)

        return handle


async def _body(request: Request, limits: Limits) -> bytes | Response:
    """The whole body, or the answer to one that is too large, too slow or not JSON by its own account."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return problem(415, "InputError", "expected the header Content-Type: application/json")
    if int(request.headers.get("content-length") or 0) > limits.body_bytes:
        return _too_large(limits.body_bytes)
    parts: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(limits.body_s):
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    return _gone(request)
                parts.append(message["body"])
                size, more = size + len(parts[-1]), message["more_body"]
                if size > limits.body_bytes:
                    return _too_large(limits.body_bytes)
    except TimeoutError:
        return problem(
            408, "DeadlineError", f"the body did not arrive within {limits.body_s:g} s", {"Connection": "close"}
        )
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _gone(request: Request) -> Response:
    """What nobody reads; the log and the counts tell of it."""
    request.scope["spct.error"] = "ClientGone"
    return Response(status_code=499)


def _too_large(limit: int) -> Response:
    message = f"the body is larger than the {limit} bytes that this server takes"
    return problem(413, "InputError", message, {"Connection": "close"})
