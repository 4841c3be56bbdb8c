"""JSON of tool calls and tool definitions, written one way however it came."""

from __future__ import annotations

import json
from collections.abc import Mapping

from spct.items.refusals import refuse, text_of


def as_json(value: object, where: str) -> str:
    """``value`` as JSON, "{}" for None; a text that is no JSON stays as it was written.

    In an object null says that there is no such key: tables fill in what the calls of other rows have.
    """
    if value is None:
        return "{}"
    if not isinstance(value, str):
        return text_of(json.dumps(_without_nulls(value), ensure_ascii=False), where)
    try:
        found = json.loads(value, parse_constant=lambda name: refuse(where, name, "JSON"))
        written = json.dumps(found, ensure_ascii=False)
        written.encode()
    except (ValueError, RecursionError):
        return text_of(value, where)
    return written


def _without_nulls(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, (list, tuple)) else value
