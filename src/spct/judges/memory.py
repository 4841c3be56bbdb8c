"""What is known of an item before it is judged, and where what becomes known of it is kept.

A judge is handed one ``Memory`` for each item. This one knows nothing and forgets everything; a run's knows what earlier
sessions sampled and writes what is new (``run.runner``), a service's writes only (``service.recording``).
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence

from spct.items.copies import Copies
from spct.types import Judgment, Message, Usage
from spct.voting.ratings import Ratings
from spct.voting.verdict import Verdict

Prompt = tuple[Message, ...]
"""The messages of a request; () where a model is asked without any."""

Record = Callable[[Sequence[Judgment], Usage, Prompt], None]
"""``Memory.record``: called once per finished request, the unit that a run stores."""


class Memory:
    """``history`` are the judgments that there are of the item, ``ratings`` those of the judge's meta RM on them.

    ``first_texts`` are those of first steps by ``first_steps.Step.key``, shared by all items; None leaves them to the judge.
    ``pilot`` items are taken to k also with adaptive k: from them a run learns how noisy its judge is.
    """

    history: Sequence[Judgment] = ()
    ratings: Ratings = {}  # noqa: RUF012 - never changed in place
    first_texts: MutableMapping[str, str] | None = None
    pilot: bool = False

    def record(self, judgments: Sequence[Judgment], usage: Usage, prompt: Prompt = ()) -> None:
        """Keep one finished request: the judgments that came of it, all or none, what it cost, and what was asked."""

    async def noise(self) -> float | None:
        """How noisy the judge is, as a run with adaptive k learns from its pilot, which this waits for; None elsewhere."""
        return None

    def record_ratings(self, ratings: Ratings) -> None:
        """Keep what the meta RM said of judgments."""

    def may_end(self, so_far: Callable[[], Verdict]) -> None:
        """From now on judging may be given up: what ``so_far`` then gives is a verdict that stands."""


class MemoryOfTexts(Memory):
    """An item's memory as the judge of its texts, each once, knows it: copies are left out on the way in, put in on the way out."""

    def __init__(self, memory: Memory, copies: Copies) -> None:
        self._memory, self._copies = memory, copies
        self.history = [copies.texts(judgment) for judgment in memory.history]
        self.ratings = memory.ratings
        self.first_texts = memory.first_texts
        self.pilot = memory.pilot

    async def noise(self) -> float | None:
        return await self._memory.noise()

    def record(self, judgments: Sequence[Judgment], usage: Usage, prompt: Prompt = ()) -> None:
        self._memory.record([self._copies.spread(judgment) for judgment in judgments], usage, prompt)

    def record_ratings(self, ratings: Ratings) -> None:
        self._memory.record_ratings(ratings)


NO_MEMORY = Memory()
