"""Several servers of one model: which of them a request goes to.

The one with the least in flight, unless another has lately been sent a prompt that begins the same way and has hardly more to
do: it has that beginning in its cache. A server that failed, or had too many requests, and has served nothing since is left
out for a while, at least as long as it asks for, then tried again with one request at a time.
"""

from __future__ import annotations

import bisect
import logging
from collections import deque
from collections.abc import Sequence

from yarl import URL

from spct.engines.http.address import Address
from spct.engines.http.limits import Pause, longest_backoff_s
from spct.engines.http.proxy import find_proxy
from spct.logs import logger

_log = logger(__name__)

FIRST_LEFT_OUT_S = 1.0
SLACK = 4
"""So many more requests in flight than the least busy server may the one have that knows the prompt's beginning."""

KEPT_PROMPTS = 1024
KEPT_CHARS = 16_384
SAME_CHARS = 64


class Server:
    """One of the servers: where it is, and how it does. ``failures`` are those since its last reply."""

    def __init__(self, address: Address, path: Sequence[str]) -> None:
        self.address = address
        self.url: URL = address.url(*path)
        self.proxy = find_proxy(self.url)
        self.pause = Pause()
        self.in_flight = 0
        self.served = 0
        self.failures = 0
        self.out_until = 0.0

    def serve(self) -> None:
        self.served += 1
        if self.failures:
            _log.info("%s answers again, and takes requests as before", self.address.endpoint.shown)
        self.failures = 0
        self.out_until = 0.0

    def fail(self, now: float) -> None:
        """Leave it out for a while, longer each time."""
        self.failures += 1
        left_out_s = longest_backoff_s(self.failures, FIRST_LEFT_OUT_S)
        self.out_until = now + left_out_s
        level = logging.WARNING if self.failures == 1 else logging.INFO
        _log.log(
            level,
            "%s failed: where there is another, it is left out for %.0f s",
            self.address.endpoint.shown,
            left_out_s,
        )

    def free_at(self) -> float:
        return max(self.out_until, self.pause.until)

    def takes(self, now: float) -> bool:
        """Whether a request may go there now: one at a time as long as it has failed last."""
        return self.free_at() <= now and (self.failures == 0 or self.in_flight == 0)


class Fleet:
    """The servers of one engine."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.servers = tuple(servers)
        self._prompts = Prompts()

    def choose(self, prompt: str, now: float, avoid: Server | None = None) -> Server:
        """Where a request with this prompt goes; not to ``avoid``, which has just failed it, where there is another."""
        if len(self.servers) == 1:
            return self.servers[0]
        usable = [server for server in self.servers if server.takes(now)]
        usable = [server for server in usable if server is not avoid] or usable
        if not usable:
            return min(self.servers, key=lambda server: (server.free_at(), server.in_flight))
        least = min(usable, key=lambda server: (server.in_flight, server.served))
        known = self._prompts.find(prompt)
        chosen = known if known in usable and known.in_flight <= least.in_flight + SLACK else least
        self._prompts.keep(prompt, chosen)
        return chosen

    def others_take(self, server: Server, now: float) -> bool:
        """Whether a server other than this one takes a request now."""
        return any(other is not server and other.takes(now) for other in self.servers)


class Prompts:
    """The beginnings of prompts that were sent lately, and where to; the oldest go first."""

    def __init__(self) -> None:
        self._sorted: list[str] = []
        self._servers: dict[str, Server] = {}
        self._age: deque[str] = deque()

    def find(self, prompt: str) -> Server | None:
        """Where the prompt went whose beginning is most like this one's, if it shares more than all prompts share."""
        head = prompt[:KEPT_CHARS]
        if head in self._servers:
            return self._servers[head]
        if len(self._sorted) < 2:
            return None  # what all prompts share is not known yet
        place = bisect.bisect(self._sorted, head)
        near = [self._sorted[at] for at in (place - 1, place) if 0 <= at < len(self._sorted)]
        best = max(near, key=lambda other: shared_chars(head, other))
        by_all = shared_chars(min(self._sorted[0], head), max(self._sorted[-1], head))
        return self._servers[best] if shared_chars(head, best) >= by_all + SAME_CHARS else None

    def keep(self, prompt: str, server: Server) -> None:
        head = prompt[:KEPT_CHARS]
        if head not in self._servers:
            bisect.insort(self._sorted, head)
            self._age.append(head)
        self._servers[head] = server
        if len(self._age) > KEPT_PROMPTS:
            oldest = self._age.popleft()
            del self._servers[oldest], self._sorted[bisect.bisect_left(self._sorted, oldest)]


def shared_chars(one: str, other: str) -> int:
    """The length of the beginning that two texts share; by halving, since comparing slices is much faster than characters."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
