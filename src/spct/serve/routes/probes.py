"""``/healthz``, ``/readyz`` and ``/metrics``: for what watches the server."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from spct.serve.problems import Json, documented
from spct.serve.routing import serving_of
from spct.wire.probes import Health, Ready

router = APIRouter(tags=["probes"], responses={status: documented()[status] for status in (401, 403)})


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", response_model=Health)
async def healthz() -> Response:
    """The process answers."""
    return Json({"status": "ok"})


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", response_model=Ready, responses={503: {"model": Ready}})
async def readyz(request: Request) -> Response:
    """Whether new work is taken: 503 while the server drains."""
    serving = serving_of(request)
    services = serving.judges.values()
    state = {
        "status": "draining" if serving.draining else "ready",
        "model": serving.models,
        "running": sum(service.running for service in services),
        "waiting": sum(service.waiting for service in services),
        "capacity": sum(service.capacity for service in services),
    }
    return Json(state, 503 if serving.draining else 200)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Prometheus text."""
    text, kind = request.app.state.metrics.text()
    return Response(text, media_type=kind)
