"""The OpenAPI document: what a reader and a generator of clients need besides the routes themselves."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from spct.serve.edge import OPEN_PATHS

DESCRIPTION = """\
A generative judge as a reward service. A query and its n responses are judged jointly, k times; the answer is a verdict
with every judgment (`/v1/judge`), or one reward per response (`/v1/reward`). A rollout that comes alone is judged with the
others of its group. There is never a number without a verdict: then the answer is an error, `{"error": {"type", "message"}}`.
"""


def operation_id(route: APIRoute) -> str:
    """The path with underscores: ``v1_judge_batch``."""
    return route.path.strip("/").replace("/", "_")


def document_of(app: FastAPI, *, keyed: bool) -> dict[str, Any]:
    """The document of ``app``; where it is ``keyed`` every operation but the open ones asks for a bearer key."""
    document: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    if keyed:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
        for path in OPEN_PATHS:
            document["paths"][path]["get"]["security"] = []
    return document
