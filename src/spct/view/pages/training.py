"""The curves of a training stage."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from spct.errors import RunError
from spct.view.pages.page import page, viewer
from spct.view.training_page import training_page, trainings_below


def training(request: Request) -> Response:
    """One stage, finished or at work."""
    name = request.path_params["training"]
    folder = trainings_below(viewer(request).library.roots).get(name)
    if folder is None:
        raise RunError(f"there is no training folder {name!r} here; it was moved or deleted, or never was")
    return page(request, "training.html", found=training_page(name, folder))
