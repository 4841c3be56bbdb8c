"""Errors as they are answered: a status, a type that programs read, and a message that gives nothing away.

What the caller did wrong is told as it is. What the engine did is told in a sentence of ours: an engine's own message may
hold addresses, keys or another user's text. Adding an error: a row in ``STATUSES``.
"""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import ValidationError
from starlette.responses import Response

from spct import errors
from spct.errors import SpctError
from spct.wire.parts import ErrorAnswer, faults_of, json_fault

STATUSES: list[tuple[type[SpctError], int, str | None]] = [
    (errors.ContextLengthError, 422, "the conversation and the responses do not fit the model's context; shorten them"),
    (errors.InputError, 422, None),
    (errors.TemplateError, 422, None),
    (errors.DrainingError, 503, None),
    (errors.BusyError, 429, None),
    (errors.DeadlineError, 504, None),
    (errors.PendingError, 425, None),
    (errors.CohortError, 409, None),
    (errors.NoVerdictError, 502, None),
    (errors.EngineUnreachableError, 503, "nobody answers at the engine's address; try again later"),
    (errors.EngineAuthError, 502, "the engine refuses this server's key; its operator must mend that"),
    (errors.RejectedError, 502, "the engine refuses this request"),
    (errors.ReplyError, 502, "the engine answered with something that is no completion"),
    (errors.EngineError, 502, "the engine failed"),
]
"""The first class that fits: its status, and the message, None for the error's own."""

DOCUMENTED = {
    400: "InputError: the body is not JSON",
    401: "Unauthorized: no key, or one that the server does not know",
    403: "Forbidden: a web page's request to a server without keys",
    408: "DeadlineError: the body did not arrive in time",
    409: "MemberConflictError, LateMemberError, LoneMemberError: a rollout cannot be judged with its group",
    413: "InputError: the body is larger than the server takes",
    415: "InputError: the body is not application/json",
    422: "InputError, TemplateError, ContextLengthError: a field is not as it must be, or the judge cannot take the item",
    425: "PendingError: the rollout's group is not judged yet; send the same request again",
    429: "BusyError: the queue is full",
    500: "InternalError: a fault of the service itself",
    502: "NoVerdictError: the judge gave no valid score. EngineError, EngineAuthError, ReplyError, RejectedError: its engine "
    "failed",
    503: "EngineUnreachableError: nobody answers at the engine's address. DrainingError: the server is stopping",
    504: "DeadlineError: the verdict was not there in time",
}
RETRY_AFTER = {"Retry-After": {"description": "Seconds until it is worth asking again", "schema": {"type": "integer"}}}


class Json(Response):
    """A body of plain values, as JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def problem(status: int, type: str, message: str, headers: dict[str, str] | None = None) -> Json:
    """An answer that is not a success."""
    return Json({"error": {"type": type, "message": message}}, status, headers)


def problem_of(error: SpctError) -> Json:
    """The answer that tells of ``error``."""
    status, body = told(error)
    headers = None
    if isinstance(error, (errors.BusyError, errors.PendingError)):
        headers = {"Retry-After": str(max(1, round(error.retry_after_s)))}
    return problem(status, body["type"], body["message"], headers)


def told(error: SpctError) -> tuple[int, dict[str, str]]:
    """The status, and the ``ErrorBody``, of an error."""
    for kind, status, message in STATUSES:
        if isinstance(error, kind):
            return status, {"type": type(error).__name__, "message": message or str(error)}
    return 500, {"type": "InternalError", "message": "a fault of this service; its log says more"}


def entry(index: int, name: str, value: dict[str, Any] | SpctError) -> dict[str, Any]:
    """One of several outcomes: under ``name`` what was asked for, or under "error" why there is none."""
    if isinstance(value, SpctError):
        return {"index": index, name: None, "error": told(value)[1]}
    return {"index": index, name: value, "error": None}


def invalid(error: ValidationError) -> Json:
    """What is wrong with a request's body: where, and what was expected; not what was there."""
    if (fault := json_fault(error)) is not None:
        return problem(400, "InputError", f"the body is not JSON: {fault}")
    return problem(422, "InputError", faults_of(error))


def documented() -> dict[int | str, dict[str, Any]]:
    """The answers besides success, for the OpenAPI document."""
    told: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorAnswer, "description": text} for status, text in DOCUMENTED.items()
    }
    for status in (425, 429, 503):
        told[status]["headers"] = RETRY_AFTER
    return told
