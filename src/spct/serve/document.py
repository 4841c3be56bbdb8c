"""The OpenAPI document: what a reader and a generator of clients need besides the routes themselves."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from spct.serve.edge import OPEN_PATHS

DESCRIPTION = """\
A generative judge as a reward service. A query and its n responses are judged jointly, k times; the answer is a verdict
with every judgment (`/v1/judge`), or one reward per response (`/v1/reward`). A rollout that comes alone is judged with the
others of its group. There is never a number without a verdict: then the answer is an error, `{"error": {"type", "message"}}`.
"""


def document_of(app: FastAPI, *, keyed: bool) -> dict[str, Any]:
    """The document of ``app``; where it is ``keyed`` every operation but the open ones asks for a bearer key.

    Operations are named by their path: ``v1_judge_batch``.
    """
    document: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    for path, methods in document["paths"].items():
        for operation in methods.values():
            operation["operationId"] = path.strip("/").replace("/", "_")
    if keyed:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
        for path in OPEN_PATHS & document["paths"].keys():
            document["paths"][path]["get"]["security"] = []
    return document
