"""Samples kept on disk over runs: what was asked once is not paid again. ``load_engine(spec, cache=DIR)`` puts it in front.

A sample is known by all that determines it: the engine (its id, its configuration once started, the options it was made
with, the size and age of every file that those name), the request as it stands, its seed and its n. So nothing goes from
one model, server or version to another. Under an engine whose samples depend on nothing but their own seed, each sample is
kept by itself, and a run with a larger k pays for what is new; under others a request is kept whole.

Rule for samples that are not whole: what the engine returned is kept as it is, cut off at ``max_tokens`` or not to be read,
for the same request would give it again, and a retry has a seed of its own. Errors are not kept, nor a request of which
a sample ended in any other way (a content filter, a server that stopped): it is asked again.
Failure rule: a folder that cannot be used is an InputError at the start; a cache that fails later is noted and gone without.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from spct.aio import gather_all
from spct.engines.cache_file import CacheFile
from spct.engines.engine import Capabilities, Engine, Sample, SampleBatch, SampleRequest, runs_of
from spct.types import Message, TokenLogprob, Usage


class CachedEngine:
    """``engine`` with the samples of the folder ``cache`` in front; ``made_by`` says what else it was made with.

    Requests that are alike and asked side by side are asked once. Several processes may use one folder.
    """

    def __init__(self, engine: Engine, cache: Path | str, made_by: str = "") -> None:
        self._engine = engine
        self._made_by = made_by
        self._file = CacheFile(Path(cache))
        self._scope: str | None = None
        self._asking: dict[bytes, asyncio.Event] = {}
        self._found = self._asked = 0

    def __repr__(self) -> str:
        return f"CachedEngine({self._engine!r}, {str(self._file.folder)!r})"

    @property
    def model_id(self) -> str:
        return self._engine.model_id

    @property
    def capabilities(self) -> Capabilities:
        return self._engine.capabilities

    @property
    def configuration(self) -> Mapping[str, Any]:
        return self._engine.configuration

    @property
    def notes(self) -> tuple[str, ...]:
        """The engine's, and how many samples were there already."""
        return (*self._engine.notes, *self._file.notes(self._found, self._found + self._asked, "sample"))

    async def start(self) -> None:
        """Open the folder and start the engine, which says then what it is. Raises InputError, EngineError or WeightsError."""
        self._file.open()
        await self._engine.start()
        known = [version("spct"), self.model_id, dict(self.configuration), self._made_by]
        self._scope = json.dumps(known, sort_keys=True, default=str)

    async def close(self) -> None:
        self._file.close()
        await self._engine.close()

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        return await self._engine.count_tokens(messages)

    async def sample(self, request: SampleRequest) -> SampleBatch:
        """As the engine does; the usage is that of what was asked of it."""
        if self._scope is None:
            await self.start()
        key = _Key(self._scope or "", request)
        kept: dict[int, Sample] = {}
        usage, asked = Usage(), 0
        while units := self._missing(key, request, kept):
            free = [unit for unit in units if key.of(unit) not in self._asking]
            if free:
                usage += await self._ask(key, request, free, kept)
                asked += sum(map(len, free))
            else:  # somebody else asks for it: see then what came of that
                await self._asking[key.of(units[0])].wait()
        self._asked += asked
        self._found += max(0, request.n - asked)
        return SampleBatch(tuple([kept[j] for j in range(request.n)]), usage)

    def _missing(self, key: _Key, request: SampleRequest, kept: dict[int, Sample]) -> list[range]:
        """What is still to be asked for, in the parts that are kept by themselves; what the file has goes into ``kept``."""
        alone = [range(j, j + 1) for j in range(request.n) if j not in kept]
        whole = range(request.n)
        if self.capabilities.seeding == "sample" or request.n == 1:
            return [unit for unit in alone if not self._read(key, unit, kept)]
        if not alone or self._read(key, whole, kept):
            return []
        singles: dict[int, Sample] = {}  # of a server that was found to give one sample a request
        if all(self._read(key, unit, singles) for unit in alone):
            kept.update(singles)
            return []
        return [whole]

    def _read(self, key: _Key, unit: range, kept: dict[int, Sample]) -> bool:
        """Whether the file has this part; if so it is put into ``kept``."""
        found = self._file.get(key.of(unit))
        samples = [] if found is None else _decoded(found)
        if len(samples) != len(unit):
            return False
        kept.update(zip(unit, samples, strict=True))
        return True

    async def _ask(self, key: _Key, request: SampleRequest, units: Sequence[range], kept: dict[int, Sample]) -> Usage:
        """Have the engine sample these parts, in as few requests as may be, and keep what comes."""
        done = asyncio.Event()
        self._asking.update({key.of(unit): done for unit in units})
        runs = runs_of([j for unit in units for j in unit], self.capabilities.max_n)

        async def one(run: Sequence[int]) -> Usage:
            batch = await self._engine.sample(replace(request, n=len(run), seed=request.seed + run[0]))
            kept.update(zip(run, batch.samples, strict=True))
            parts = {key.of(unit): [kept[j] for j in unit] for unit in units if set(unit) <= set(run)}
            self._file.put({known: _encoded(samples) for known, samples in parts.items() if _is_whole(samples)})
            return batch.usage

        try:
            return sum(await gather_all([one(run) for run in runs]), Usage())
        finally:
            for unit in units:
                del self._asking[key.of(unit)]
            done.set()


class _Key:
    """What parts of a request are known by, under what the engine is."""

    def __init__(self, scope: str, request: SampleRequest) -> None:
        told = asdict(replace(request, n=0, seed=0))
        self._digest = hashlib.blake2b(json.dumps([scope, told]).encode(), digest_size=24)
        self._seed = request.seed

    def of(self, unit: range) -> bytes:
        digest = self._digest.copy()
        digest.update(f" {self._seed + unit.start} {len(unit)}".encode())
        return digest.digest()


def _is_whole(samples: Sequence[Sample]) -> bool:
    return all(sample.finish_reason != "other" for sample in samples)


def _encoded(samples: Sequence[Sample]) -> str:
    return json.dumps([asdict(sample) for sample in samples])


def _decoded(text: str) -> list[Sample]:
    """The samples of an entry; none if somebody else wrote it in another form."""
    try:
        return [_sample(**fields) for fields in json.loads(text)]
    except (ValueError, TypeError):
        return []


def _sample(*, logprobs: Sequence[Mapping[str, Any]] | None, **fields: Any) -> Sample:
    read = None if logprobs is None else tuple([_logprob(**token) for token in logprobs])
    return Sample(logprobs=read, **fields)


def _logprob(*, top: Sequence[Sequence[Any]], **fields: Any) -> TokenLogprob:
    return TokenLogprob(top=tuple([(token, logprob) for token, logprob in top]), **fields)
