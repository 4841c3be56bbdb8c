"""What a server tells about itself before the first request: its kind, the model's context, how many samples at once.

Best effort: a server without ``/models`` is as good as any. Only that nobody answers is raised.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from spct.aio import gather_all
from spct.engines.http.client import HTTPClient, unreachable
from spct.engines.http.errors import Transient
from spct.engines.http.fleet import Server
from spct.engines.http.limits import backoff_s
from spct.errors import EngineError, EngineUnreachableError

TRIES = 3
TIMEOUT_S = 10.0

CONTEXT_FIELDS = ("max_model_len", "context_length", "context_window")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a server; None where it does not tell. ``software`` is the ``owned_by`` of its models.

    ``served_model`` is what the asked-for name stands for: vLLM tells the weights behind it, others the name alone.
    ``locked``: the list is refused to this key (401), which may be good for completions all the same.
    """

    software: str | None = None
    served_model: str | None = None
    context_tokens: int | None = None
    max_n: int | None = None
    locked: bool = False


async def probe(client: HTTPClient, attempts: int, first_backoff_s: float) -> tuple[Facts | None, ...]:
    """Ask ``/models`` of each server and, of llama.cpp, ``/props``; None for a server that is not there.

    Raises EngineUnreachableError if none of them is.
    """
    asked = [_probe_one(client, server, min(TRIES, attempts), first_backoff_s) for server in client.servers]
    found = await gather_all(asked)
    facts = tuple([None if isinstance(each, EngineError) else each for each in found])
    if not any(facts):
        raise next(each for each in found if isinstance(each, EngineError))
    return facts


async def _probe_one(client: HTTPClient, server: Server, tries: int, first_backoff_s: float) -> Facts | EngineError:
    try:
        status, raw = await _reach(client, server, tries, first_backoff_s)
    except EngineUnreachableError as error:
        server.fail(time.monotonic())
        return error
    address = server.address
    facts = read_models(raw, address.endpoint.model) if status == 200 else Facts(locked=status == 401)
    if facts.software != "llamacpp":
        return facts
    props = await client.get(server, address.base.origin() / "props", TIMEOUT_S)
    if isinstance(props, tuple) and props[0] == 200:
        return read_props(props[1], facts)
    return facts


async def _reach(client: HTTPClient, server: Server, tries: int, first_backoff_s: float) -> tuple[int, bytes]:
    """Status and body of ``/models``; status 0 if somebody is there and does not answer properly."""
    for tried in range(1, tries + 1):
        got = await client.get(server, server.address.url("models"), TIMEOUT_S)
        if isinstance(got, tuple):
            return got
        if isinstance(got, EngineError):
            raise got
        if got.connected:
            return 0, b""
        if tried < tries:
            await asyncio.sleep(backoff_s(tried, first_backoff_s))
    assert isinstance(got, Transient)
    raise unreachable(server.address.endpoint, got, tries)


def together(found: Sequence[Facts]) -> Facts:
    """What holds for all servers: what they agree on, and the smallest context and n of any."""
    software, models = {facts.software for facts in found}, {facts.served_model for facts in found}
    contexts = [facts.context_tokens for facts in found if facts.context_tokens]
    most = [facts.max_n for facts in found if facts.max_n]
    return Facts(
        software.pop() if len(software) == 1 else None,
        models.pop() if len(models) == 1 else None,
        min(contexts, default=None),
        min(most, default=None),
    )


def read_models(raw: bytes, model: str) -> Facts:
    """Read the entry of ``model``, or the only entry, of an OpenAI model list."""
    body = _object(raw)
    data = body.get("data")
    entries = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
    entry = next((entry for entry in entries if entry.get("id") == model), entries[0] if len(entries) == 1 else {})
    meta = entry.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    told = [*(entry.get(name) for name in CONTEXT_FIELDS), meta.get("n_ctx"), meta.get("n_ctx_train")]
    return Facts(_text(entry, "owned_by"), _text(entry, "root") or _text(entry, "id"), _first_positive(told))


def read_props(raw: bytes, facts: Facts) -> Facts:
    """llama.cpp's slots are the largest n it takes; the context of a slot bounds prompt plus completion."""
    body = _object(raw)
    settings = body.get("default_generation_settings")
    context = settings.get("n_ctx") if isinstance(settings, dict) else None
    return replace(
        facts,
        context_tokens=_first_positive([context, facts.context_tokens]),
        max_n=_first_positive([body.get("total_slots")]),
    )


def _text(entry: dict[str, Any], name: str) -> str | None:
    value = entry.get(name)
    return value if isinstance(value, str) and value else None


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _first_positive(values: list[Any]) -> int | None:
    return next((value for value in values if isinstance(value, int) and value > 0), None)
