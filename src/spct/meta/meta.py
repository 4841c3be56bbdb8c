"""The contract of a meta RM: a scalar model that rates one judgment, "is it correct?" (arXiv 2504.02495, section 4.2).

Failure rule: ``rate`` returns one ``Rating`` per case, in order, or raises an EngineError if it cannot go on. A
judgment that cannot be rated (too long for the model, an answer without a number) gets a Rating without a value and
with the reason; nothing is cut short or made up. To add one: a module with a class that follows ``MetaRM``, a line in
``spct.meta.METAS``, a row in ``tests/meta/test_contract.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from spct.types import Item, Judgment, Message
from spct.voting.ratings import Rating


@dataclass(frozen=True, slots=True)
class Case:
    """One valid judgment as it is rated: ``prompt`` is what it answered, ``answer`` its text (see
    ``cases.make_cases``).

    ``principles`` are those that were given to it, None where it wrote its own.
    """

    item: Item
    judgment: Judgment
    prompt: tuple[Message, ...]
    answer: str
    principles: str | None = None


class MetaRM(Protocol):
    """Rates judgments. Safe to call from many tasks of one event loop at once."""

    @property
    def model_id(self) -> str:
        """``kind:name`` as it is recorded with the ratings, without secrets. What changes a rating must change it."""
        ...

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Strings that its tokenizer would turn into control tokens; kept out of what it reads. Known once started."""
        ...

    @property
    def configuration(self) -> Mapping[str, Any]:
        """What a run keeps of it beside ``model_id``, as JSON and without secrets: its server or device, versions, options.

        ``prompt`` is the whole text of the template that it reads, where that is not the judge's own
        (``prompt.prompt_row``). Known once started.
        """
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that whoever reads its ratings should know; kept when it has rated."""
        ...

    async def start(self) -> None:
        """Load weights or open connections; idempotent. Raises EngineError or WeightsError."""
        ...

    async def rate(self, cases: Sequence[Case]) -> list[Rating]:
        """One rating per case, in order."""
        ...

    async def close(self) -> None:
        """Free everything; idempotent."""
        ...
