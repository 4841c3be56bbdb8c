"""``/docs``: the endpoints as a page."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from spct.serve.docs import HEADERS, page_of, style

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The page of ``/openapi.json``."""
    page = page_of(request.app.openapi(), str(request.base_url).rstrip("/"))
    return Response(page, media_type="text/html", headers=HEADERS)


@router.get("/docs.css")
async def css() -> Response:
    """Its style sheet."""
    return Response(style(), media_type="text/css", headers=HEADERS)
