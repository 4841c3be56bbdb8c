"""Numbers of scalar models kept on disk over runs, as ``engines.cached`` keeps samples: ``load_scorer(spec, cache=DIR)``.

A number is known by the model (its id, protocol, configuration once started, and what it was made with) and by the texts that
it is of. Rule: an answer without a number is not kept; it is asked for again.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from spct.classifiers.classifier import Conversation, Pair, PairScorer, Score, Scorer
from spct.engines.cache_file import CacheFile
from spct.engines.engine import Capabilities

Text = TypeVar("Text", Conversation, Pair)


class _Cached:
    """``model`` with the numbers of the folder ``cache`` in front; ``made_by`` says what else it was made with."""

    def __init__(self, model: Scorer | PairScorer, cache: Path | str, made_by: str) -> None:
        self._model = model
        self._made_by = made_by
        self._file = CacheFile(Path(cache))
        self._found = self._asked = 0

    @property
    def model_id(self) -> str:
        return self._model.model_id

    @property
    def protocol(self) -> Mapping[str, Any]:
        return self._model.protocol

    @property
    def capabilities(self) -> Capabilities:
        return self._model.capabilities

    @property
    def configuration(self) -> Mapping[str, Any]:
        return self._model.configuration

    @property
    def notes(self) -> tuple[str, ...]:
        """The model's, and how many numbers were there already."""
        return (*self._model.notes, *self._file.notes(self._found, self._found + self._asked, "number"))

    async def start(self) -> None:
        """Open the folder and start the model. Raises InputError, EngineError or WeightsError."""
        self._file.open()
        await self._model.start()

    async def close(self) -> None:
        self._file.close()
        await self._model.close()

    async def _looked_up(
        self, texts: Sequence[Text], ask: Callable[[Sequence[Text]], Awaitable[list[Score]]]
    ) -> list[Score]:
        """A score for each of the texts; those that the file lacks are asked for together, equal ones once."""
        about = [version("spct"), self.model_id, dict(self.protocol), dict(self.configuration), self._made_by]
        keys = [_key(about, text) for text in texts]
        found = {key: Score(**json.loads(entry)) for key in keys if (entry := self._file.get(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            made = dict(zip(missing, await ask(list(missing.values())), strict=True))
            self._file.put({key: json.dumps(asdict(score)) for key, score in made.items() if score.value is not None})
            found |= made
        self._asked += len(missing)
        self._found += len(texts) - len(missing)
        return [found[key] for key in keys]


class CachedScorer(_Cached):
    def __init__(self, model: Scorer, cache: Path | str, made_by: str = "") -> None:
        super().__init__(model, cache, made_by)
        self._ask = model.score

    async def score(self, conversations: Sequence[Conversation]) -> list[Score]:
        return await self._looked_up(conversations, self._ask)


class CachedPairScorer(_Cached):
    def __init__(self, model: PairScorer, cache: Path | str, made_by: str = "") -> None:
        super().__init__(model, cache, made_by)
        self._ask = model.compare

    async def compare(self, pairs: Sequence[Pair]) -> list[Score]:
        return await self._looked_up(pairs, self._ask)


def _key(about: Sequence[Any], text: Conversation | Pair) -> bytes:
    turns = [asdict(turn) for turn in text] if isinstance(text, tuple) else asdict(text)
    return blake2b(json.dumps([about, turns], sort_keys=True, default=str).encode(), digest_size=24).digest()
