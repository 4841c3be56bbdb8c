"""Values of rows as JSON has them, whatever brought them: Parquet, pandas, numpy, another library's objects.

Nothing is lost but for bytes that are no text: what is left of those is their number and a digest, but 16 of them are a UUID.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f]")
INT_BITS = 64
"""Integers beyond are kept as text: JSON's readers, ours among them, would round them."""


def plain(value: Any) -> Any:
    """``value`` of JSON's kinds. What is of no known kind stays as it is, for its reader to refuse by its type."""
    kind = type(value)
    if kind is str or kind is float or kind is bool or value is None:
        return value
    if kind is int:
        return value if -(2 ** (INT_BITS - 1)) <= value < 2**INT_BITS else str(value)
    if kind is list or kind is tuple:
        return [plain(part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    convert = next((convert for known, convert in _KINDS.items() if isinstance(value, known)), None)
    if convert is not None:
        return convert(value)
    if type(value).__name__ in ("NAType", "NaTType"):  # what pandas writes for nothing
        return None
    if hasattr(value, "tolist"):  # of numpy: arrays, and numbers
        return plain(value.tolist())
    if callable(getattr(value, "model_dump", None)):  # of pydantic: the messages of most clients
        return plain(value.model_dump(mode="json", exclude_none=True))
    return value


def absent(value: Any) -> bool:
    """Whether a key says nothing: null, or the NaN that tables have in its place."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def as_reference(value: Any) -> str | None:
    """A ground truth of any kind as the text that a judge is shown; None where it says nothing.

    0 and False are truths. The only entry of a list stands for itself, as data sets wrap answers so; more are shown as JSON.
    """
    value = plain(value)
    while isinstance(value, list) and len(value) == 1:
        (value,) = value
    if absent(value) or value == [] or value == {} or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, (str, int, float)):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _of_bytes(value: bytes | bytearray | memoryview) -> Any:
    raw = bytes(value)
    try:
        if not _CONTROLS.search(text := raw.decode()):
            return text
    except UnicodeDecodeError:
        pass
    if len(raw) == 16:
        return str(UUID(bytes=raw))
    return {"bytes": len(raw), "blake2b": hashlib.blake2b(raw, digest_size=16).hexdigest()}


def _of_decimal(value: Decimal) -> Any:
    whole = value.is_finite() and value == value.to_integral_value()
    return plain(int(value)) if whole else float(value)


def _of_time(value: datetime.datetime) -> str | None:
    return None if type(value).__name__ == "NaTType" else value.isoformat()


_KINDS: dict[Any, Any] = {
    (bytes, bytearray, memoryview): _of_bytes,
    Decimal: _of_decimal,
    datetime.datetime: _of_time,
    (datetime.date, datetime.time): lambda value: value.isoformat(),
    datetime.timedelta: lambda value: value.total_seconds(),
    UUID: str,
}
"""Kinds and what becomes of them: a duration its seconds, a moment its ISO form."""
