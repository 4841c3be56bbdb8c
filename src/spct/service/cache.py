"""Verdicts kept for a while: a request that was answered not long ago costs nothing.

The key is the item's fingerprint (conversation, responses, reference, principles) under a digest of everything else a
verdict depends on (``judge.describe()``: model, templates, all settings, the meta RM). Only whole verdicts are kept, none
with an error. What goes first is what was not asked for the longest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from spct.errors import InputError
from spct.voting.verdict import Verdict

VERDICT_BYTES = 2000
JUDGMENT_BYTES = 1000


class VerdictCache:
    """At most ``max_bytes`` of verdicts (0: none), each for ``ttl_s`` seconds after it was made.

    Bytes are estimated: text by its length, objects by what they were measured to take. ``clock`` is in seconds.
    """

    def __init__(
        self, max_bytes: int = 64 * 2**20, ttl_s: float = 3600.0, *, clock: Callable[[], float] = monotonic
    ) -> None:
        if max_bytes < 0 or not ttl_s >= 0:
            raise InputError(f"verdict cache: got {max_bytes} bytes for {ttl_s} s; expected 0 or more of both")
        self.max_bytes, self.ttl_s = max_bytes, ttl_s
        self.bytes = 0
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, int, Verdict]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str) -> Verdict | None:
        """The verdict, unless there is none or its time is over."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept[0] <= self._clock():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept[2]

    def put(self, key: str, verdict: Verdict) -> None:
        """Keep a verdict that is whole and not larger than the cache."""
        size = estimated_bytes(verdict)
        if verdict.error is not None or size > self.max_bytes or self.ttl_s == 0:
            return
        if key in self._kept:
            self._drop(key)
        self._kept[key] = (self._clock() + self.ttl_s, size, verdict)
        self.bytes += size
        while self.bytes > self.max_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        self.bytes -= self._kept.pop(key)[1]


def estimated_bytes(verdict: Verdict) -> int:
    """What keeping a verdict costs: its texts, and a fixed sum for each object (a character may take 1 to 4 bytes)."""
    judgments = sum(JUDGMENT_BYTES + len(j.text) + len(j.reasoning or "") for j in verdict.judgments)
    return VERDICT_BYTES + judgments + 200 * verdict.n
