"""Images of a conversation: where they are, and what is kept of them in a run, which is never the image itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from spct.errors import InputError

ADDRESS = re.compile(r"https?://\S+\Z|data:image/[\w.+-]+;base64,[A-Za-z0-9+/=\s]+\Z")
KEPT = re.compile(r"image:[\w.+-]+;blake2b=[0-9a-f]{32};chars=[0-9]+\Z")


def image_of(part: Mapping[str, Any], where: str) -> str:
    """The address of the image in a part of a message. Raises InputError where there is none that can be passed on."""
    value = part.get("image_url", part.get("image"))
    if isinstance(value, Mapping):
        value = value.get("url")
    if isinstance(value, str) and (ADDRESS.match(value) or is_reference(value)):
        return value
    got = "no address" if value is None else f"{str(value)[:60]!r}" if isinstance(value, str) else type(value).__name__
    raise InputError(
        f"{where}: got an image as {got}; expected images as image_url, with an address that begins with "
        "http(s):// or data:image/...;base64,"
    )


def is_reference(image: str) -> bool:
    """Whether all there is of an image is what a run kept."""
    return KEPT.match(image) is not None


def reference_to(image: str) -> str:
    """What a run keeps of an image: its address, or the kind, the size and a digest of one that came as data."""
    if not image.startswith("data:"):
        return image
    kind = image[len("data:image/") : image.index(";")]
    return f"image:{kind};blake2b={hashlib.blake2b(image.encode(), digest_size=16).hexdigest()};chars={len(image)}"
