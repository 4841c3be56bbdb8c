"""Query-only principles: written once per query, before any response is seen, and used for all its judgments.

Principles written after seeing the responses drift and can be gamed in RL (arXiv 2602.10019); and a whole group of
rollouts, or every item that asks the same query, shares one call.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import MutableMapping

from spct.engines.engine import Engine, SampleRequest
from spct.errors import RequestError
from spct.items import fingerprint
from spct.judges.sampling import Record, SamplingSettings, ask
from spct.templates import Template
from spct.types import Item
from spct.voting.orders import sample_seed, seed_base

KEPT_IN_MEMORY = 4096
"""Queries whose principles are remembered without a run directory, which keeps them all."""


class PrinciplesWriter:
    """Writes and remembers the principles of a query; items that ask for the same query at once share the call."""

    def __init__(self, engine: Engine, template: Template, settings: SamplingSettings, seed: int) -> None:
        self.engine = engine
        self.template = template
        self.settings = settings
        self.seed = seed
        self._recent: MutableMapping[str, str] = _Recent()
        self._writing: dict[str, asyncio.Task[str]] = {}

    async def principles_of(self, item: Item, kept: MutableMapping[str, str] | None, record: Record) -> str:
        """The principles of the item's query: those in ``kept`` (None: in memory), else written now and put there.

        Raises RequestError if no attempt writes any.
        """
        kept = self._recent if kept is None else kept
        key = query_key(item)
        if (found := kept.get(key)) is not None:
            return found
        if key not in self._writing:
            self._writing[key] = task = asyncio.create_task(self._write(item, key, kept, record))
            task.add_done_callback(lambda _: self._writing.pop(key))
        return await asyncio.shield(self._writing[key])  # one waiter's cancellation is not the others'

    async def _write(self, item: Item, key: str, kept: MutableMapping[str, str], record: Record) -> str:
        capabilities, settings = self.engine.capabilities, self.settings
        messages = self.template.render(item, (), special_tokens=capabilities.special_tokens)
        grammar = self.template.grammar(0, settings.max_tokens) if settings.grammar and capabilities.grammar else None
        detail = ""
        for attempt in range(settings.retries + 1):
            request = SampleRequest(
                messages,
                seed=sample_seed(seed_base(self.seed, key), 0, attempt, 0),
                temperature=settings.temperature,
                top_p=settings.top_p,
                max_tokens=settings.max_tokens,
                grammar=grammar,
            )
            batch = await ask(self.engine, request)
            record([], batch.usage, messages)
            parsed = self.template.parse(batch.samples[0].text, 0, batch.samples[0].finish_reason)
            if parsed.problem is None:
                kept[key] = parsed.principles
                return parsed.principles
            detail = parsed.problem.detail
        raise RequestError(f"no principles came of the query in {settings.retries + 1} attempts: {detail}")


def query_key(item: Item) -> str:
    """What principles depend on: the conversation and the reference answer, not the responses."""
    return fingerprint(Item("", item.messages, (), reference=item.reference))


class _Recent(OrderedDict[str, str]):
    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key, value)
        if len(self) > KEPT_IN_MEMORY:
            self.popitem(last=False)
