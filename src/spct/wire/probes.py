"""``/healthz`` and ``/readyz``."""

from __future__ import annotations

from typing import Literal

from spct.wire.parts import Out


class Health(Out):
    """The process answers."""

    status: Literal["ok"]


class Ready(Out):
    """Whether new work is taken; with "draining" the status is 503."""

    status: Literal["ready", "draining"]
    model: str
    running: int
    waiting: int
    capacity: int
