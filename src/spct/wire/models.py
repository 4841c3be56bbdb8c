"""``/v1/models``: the judges of a service."""

from __future__ import annotations

from typing import Literal

from spct.wire.parts import Out


class ModelOut(Out):
    """A judge by its name. ``default`` is the one that answers where a request names none; ``model`` is what it judges with."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["spct"] = "spct"
    default: bool
    model: str


class ModelsAnswer(Out):
    """All of them, in OpenAI's shape."""

    object: Literal["list"] = "list"
    data: tuple[ModelOut, ...]
