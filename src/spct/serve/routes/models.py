"""``/v1/models``: which judges there are."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from spct.serve.problems import Json, documented
from spct.serve.routing import key_of, serving_of
from spct.serve.state import shown_model
from spct.wire.models import ModelsAnswer

router = APIRouter(tags=["judge"], responses={status: documented()[status] for status in (401, 403)})


@router.get("/v1/models", response_model=ModelsAnswer)
async def models(request: Request) -> Response:
    """The judges that the caller may ask, by the names that requests give as ``judge``, or ``model`` in the shapes of others."""
    serving = serving_of(request)
    listed = [
        {
            "id": name,
            "object": "model",
            "created": serving.created,
            "owned_by": "spct",
            "default": name == serving.default,
            "model": shown_model(service.model_id),
        }
        for name, service in serving.judges_of(key_of(request)).items()
    ]
    return Json({"object": "list", "data": listed})
