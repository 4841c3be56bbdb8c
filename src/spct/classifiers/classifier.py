"""The contract of a scalar model: a conversation whose last turn is the response in, one number out.

Failure rule: ``score`` returns one ``Score`` per conversation, in order, or raises one of the EngineError family.
Nothing is cut short: a conversation beyond the model's context is a ContextLengthError. An answer without a number is a
Score with the reason in place of the value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from spct.engines.engine import Capabilities
from spct.types import Message

Conversation = tuple[Message, ...]
"""The query's turns and, last, the assistant's response that is scored."""


@dataclass(frozen=True, slots=True)
class Score:
    """The number, on the model's own scale, or why there is none; exactly one of ``value`` and ``problem`` is set.

    ``text`` is what the model answered, where it answers in text. ``prompt_tokens`` is 0 where they are not counted.
    """

    value: float | None
    problem: str | None = None
    text: str = ""
    prompt_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """Two responses to one query, in the order in which they are read."""

    query: Conversation
    first: str
    second: str


class _Model(Protocol):
    @property
    def model_id(self) -> str:
        """``kind:name`` as it is recorded in a run, without secrets."""
        ...

    @property
    def protocol(self) -> Mapping[str, Any]:
        """What else its numbers depend on (how text is put, which output is read), as flat JSON values."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """``concurrency``, ``context_tokens`` and ``special_tokens`` are what matters here; known once started."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that whoever reads a run's results should know; may grow while it samples."""
        ...

    @property
    def configuration(self) -> Mapping[str, Any]:
        """What is in effect, as flat JSON values without a key or a login, known once started: recorded with a run."""
        ...

    async def start(self) -> None:
        """Load weights or open connections; idempotent. Raises EngineError or WeightsError."""
        ...

    async def close(self) -> None:
        """Free everything; idempotent."""
        ...


class Scorer(_Model, Protocol):
    """Scores responses one by one. Safe to call from many tasks of one event loop at once."""

    async def score(self, conversations: Sequence[Conversation]) -> list[Score]:
        """One score per conversation, in order."""
        ...


class PairScorer(_Model, Protocol):
    """Compares two responses: above 0 means that the first one is better. Safe to call from many tasks at once."""

    async def compare(self, pairs: Sequence[Pair]) -> list[Score]:
        """One score per pair, in order."""
        ...
