"""A scalar model behind HTTP: one pool to one path of a server. Scorers and the remote meta RM are made of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from spct.engines.engine import special_tokens_of
from spct.engines.http import wire as http_wire
from spct.engines.http.address import Address, find_address
from spct.engines.http.client import HTTPClient
from spct.engines.http.errors import Refusal
from spct.engines.http.limits import Limits
from spct.engines.http.presets import KEY_VARIABLE
from spct.engines.http.probe import probe
from spct.errors import InputError
from spct.types import Message

T = TypeVar("T")


class HTTPModel:
    """Posts to ``path`` of the server at ``base_url`` (or OPENAI_BASE_URL), with ``api_key`` (or ``key_variable``).

    ``beside_v1``: the path hangs beside /v1, so a base URL that ends in it loses it. ``special_tokens`` are those of
    the served tokenizer, which a server does not tell: name them so that a response cannot open turns of its own. Without,
    all that ``control_tokens`` knows are kept out.
    """

    kind: str
    path: tuple[str, ...]
    service: str
    beside_v1: bool = False
    key_variable: str = KEY_VARIABLE

    def __init__(
        self,
        name: str,
        base_url: str | None,
        api_key: str | None,
        concurrency: int,
        timeout_s: float,
        attempts: int,
        backoff_s: float,
        special_tokens: Sequence[str],
    ) -> None:
        if concurrency < 1 or attempts < 1 or timeout_s <= 0:
            raise InputError("concurrency, attempts and timeout_s: expected numbers above 0")
        self._name = name
        self._address = self._find(name, base_url, api_key)
        self._concurrency = concurrency
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._backoff_s = backoff_s
        self._special_tokens = special_tokens_of(special_tokens)
        self._client: HTTPClient | None = None
        self._starting = asyncio.Lock()

    @property
    def model_id(self) -> str:
        return f"{self.kind}:{self._address.endpoint.clean(self._name)}"

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    @property
    def configuration(self) -> Mapping[str, Any]:
        return {"server": self._address.endpoint.shown}

    async def start(self) -> None:
        """Open the pool and see that somebody answers. Raises EngineUnreachableError."""
        async with self._starting:
            if self._client is not None:
                return
            client = HTTPClient(
                [self._address],
                Limits(None, None),
                concurrency=self._concurrency,
                timeout_s=self._timeout_s,
                attempts=self._attempts,
                first_backoff_s=self._backoff_s,
                path=self.path,
            )
            try:
                await probe(client, self._attempts, self._backoff_s)
            except BaseException:
                await client.close()
                raise
            self._client = client

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _post(self, body: Mapping[str, Any], read: Callable[[bytes], T]) -> T:
        """What ``read`` makes of the reply to ``body``. Raises one of the EngineError family."""
        if self._client is None:
            await self.start()
        assert self._client is not None
        outcome = await self._client.post(http_wire.encode({"model": self._name, **body}), 0.0, read)
        if isinstance(outcome, Refusal):
            raise outcome.error()
        return outcome

    def _find(self, name: str, base_url: str | None, api_key: str | None) -> Address:
        address = find_address(name, base_url, api_key, self.key_variable)
        path = address.base.path.rstrip("/")
        path = path.removesuffix("/v1") if self.beside_v1 else path
        return replace(
            address,
            base=address.base.with_path(path or "/", keep_query=True),
            endpoint=replace(address.endpoint, service=self.service),
        )


def as_turns(conversation: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in conversation]
