"""A judge of whole groups for tests: any change of who is in a group, or in which order, changes the scores."""

import asyncio
import hashlib

from spct.run.asks import Asked
from spct.types import Item, ItemError, Judgment, Message
from spct.voting.verdict import Verdict
from spct.voting.vote import decide

QUERY = (Message("user", "Name a prime."),)


def verdict_on(item: Item) -> Verdict:
    """Scores 1..10 that depend on the item's every text and their order; no two items have equal verdicts."""
    whole = repr((item.messages, item.responses, item.reference, item.principles))
    n = len(item.responses)
    scores = tuple(1 + hashlib.sha256(f"{whole}{i}".encode()).digest()[0] % 10 for i in range(n))
    judgment = Judgment(0, tuple(range(n)), 0, whole, "stop", scores)
    return decide([judgment], id=item.id, n=n, k=1)


class GroupJudge:
    """``verdict_on`` after ``delay_s``; ``items`` are those asked for, ``stopped`` those that were cancelled.

    ``failures`` are raised by the first calls, one each; ``invalid`` verdicts have no totals.
    """

    def __init__(self, delay_s: float = 0.0, failures: list[BaseException] | None = None, invalid: int = 0) -> None:
        self.items: list[Item] = []
        self.stopped: list[Item] = []
        self._delay_s, self._failures, self._invalid = delay_s, failures or [], invalid

    async def __call__(self, item: Item, asked: Asked) -> Verdict:
        self.items.append(item)
        try:
            await asyncio.sleep(self._delay_s)
        except asyncio.CancelledError:
            self.stopped.append(item)
            raise
        if self._failures:
            raise self._failures.pop(0)
        if self._invalid:
            self._invalid -= 1
            error = ItemError("NoValidJudgment", "nothing to vote on")
            return decide([], id=item.id, n=len(item.responses), k=1, error=error)
        return verdict_on(item)
