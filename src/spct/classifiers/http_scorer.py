"""What scorers behind HTTP share: one request per conversation, all of a call at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from spct.classifiers.classifier import Conversation, Score
from spct.classifiers.http_model import HTTPModel
from spct.engines.engine import Capabilities
from spct.engines.http.address import Address
from spct.errors import InputError


class HTTPScorer(HTTPModel):
    """A scorer of the server at ``base_url`` or OPENAI_BASE_URL; one of them must be given."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(concurrency=self._concurrency, special_tokens=self._special_tokens)

    async def score(self, conversations: Sequence[Conversation]) -> list[Score]:
        """All at once; the first failure cancels the others."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._score(conversation)) for conversation in conversations]
        except BaseExceptionGroup as failures:
            failure = failures.exceptions[0]
        else:
            return [task.result() for task in tasks]
        raise failure

    async def _score(self, conversation: Conversation) -> Score:
        raise NotImplementedError

    def _find(self, name: str, base_url: str | None, api_key: str | None) -> Address:
        if not (base_url or os.environ.get("OPENAI_BASE_URL")):
            raise InputError(
                f"model '{self.kind}:{name}' names no server; give it one, as --base-url http://127.0.0.1:8000"
            )
        return super()._find(name, base_url, api_key)
