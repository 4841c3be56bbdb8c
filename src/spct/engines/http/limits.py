"""When a request may be sent: rate limits, the pause that a server asks for, the wait before another attempt.

What decides takes the time as an argument (seconds of a monotonic clock), so it is tested without waiting.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

LONGEST_BACKOFF_S = 30.0
GROWTH = 3.0
RECENT_S = 5.0
GAP_WEIGHT = 0.1


class Throttle:
    """At most ``per_minute`` units a minute, first come, first served.

    A bucket that may go into debt: it holds one second's worth, a reservation takes its whole cost at once, and those
    after it wait until the debt is paid off. So a cost above the bucket's size is slow and never impossible, and the
    first minute carries no double allowance.
    """

    def __init__(self, per_minute: float) -> None:
        self._unit_s = 60.0 / per_minute
        self._burst_s = max(0.0, 1.0 - self._unit_s)
        self._free_at = float("-inf")

    def reserve(self, cost: float, now: float) -> float:
        """Take ``cost`` units; return the seconds to wait before they may be used."""
        start = max(self._free_at, now - self._burst_s)
        self._free_at = start + cost * self._unit_s
        return max(0.0, start - now)

    def correct(self, units: float) -> None:
        """Book ``units`` more than were reserved, fewer where negative."""
        self._free_at += units * self._unit_s


class Limits:
    """The rates that every request of one engine keeps to, whichever server it goes to.

    Tokens are reserved by estimate (hosted servers, too, book the estimate first) and corrected by the usage of the
    reply.
    """

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        self._requests = Throttle(requests_per_minute) if requests_per_minute else None
        self._tokens = Throttle(tokens_per_minute) if tokens_per_minute else None

    async def wait(self, tokens: float) -> None:
        """Return when a request of about ``tokens`` tokens may be sent."""
        if not (self._requests or self._tokens):
            return
        now = time.monotonic()
        wait_s = self._requests.reserve(1, now) if self._requests else 0.0
        if self._tokens:
            wait_s = max(wait_s, self._tokens.reserve(tokens, now))
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def correct(self, tokens: float) -> None:
        """Book ``tokens`` more than the estimate, fewer where negative."""
        if self._tokens:
            self._tokens.correct(tokens)


class Pause:
    """The pause that a server asks for. It holds every request to it: one 429 with Retry-After stops all of them."""

    def __init__(self) -> None:
        self.until = 0.0

    def begin(self, seconds: float) -> None:
        """Hold all requests back for ``seconds`` from now; a shorter pause does not end a longer one."""
        self.until = max(self.until, time.monotonic() + seconds)

    async def over(self) -> None:
        """Return when requests may be sent; a little jitter keeps them from coming back in the same instant."""
        # A loop, since another reply may prolong the pause while this request sleeps.
        while (wait_s := self.until - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(wait_s * random.uniform(1.0, 1.1))


class Pace:
    """What the servers have lately shown, by which a failed request waits and by which it may be given up.

    While replies come, a failure is one request's bad luck: it waits about as long as a waiting request takes to be served,
    and is tried on. Once no reply has come for a while, waits grow as they do for a lone request, and tries count.
    """

    def __init__(self, first_s: float) -> None:
        self._first_s = first_s
        self._gap_s = 0.0
        self._last: float | None = None
        self.served = 0
        self.waiting = 0

    def serve(self, now: float) -> None:
        """A reply has come."""
        if self._last is not None:
            self._gap_s += GAP_WEIGHT * (now - self._last - self._gap_s)
        self._last = now
        self.served += 1

    def is_serving(self, now: float) -> bool:
        """Whether a reply has come within the last ``RECENT_S`` seconds."""
        return self._last is not None and now - self._last < RECENT_S

    def longest_wait_s(self, tries: int, now: float) -> float:
        """The longest that a request waits after ``tries`` failed tries."""
        own_s = longest_backoff_s(tries, self._first_s)
        if self._last is None:
            return own_s
        return min(own_s, max(self._first_s, now - self._last, self.waiting * self._gap_s))

    async def wait(self, tries: int, *, answered: bool) -> None:
        """Wait before the next try of a request, with jitter; longer where the server did not even answer the last one.

        A server that is being restarted is not there for a while, whatever it served a moment ago.
        """
        longest_s = (
            self.longest_wait_s(tries, time.monotonic()) if answered else longest_backoff_s(tries, self._first_s)
        )
        self.waiting += 1
        try:
            await asyncio.sleep(random.uniform(0.0 if answered else longest_s / 2, longest_s))
        finally:
            self.waiting -= 1


def longest_backoff_s(tries: int, first_s: float) -> float:
    """Exponential backoff: short first, since most failures pass at once, and patient soon."""
    return min(LONGEST_BACKOFF_S, first_s * GROWTH ** min(tries - 1, 30))


def backoff_s(tries: int, first_s: float) -> float:
    """Exponential backoff with full jitter after ``tries`` failed tries, at most LONGEST_BACKOFF_S."""
    return random.uniform(0.0, longest_backoff_s(tries, first_s))


def retry_after_s(headers: Mapping[str, str], now_unix_s: float) -> float | None:
    """Seconds that a reply asks to wait: ``retry-after-ms``, or ``Retry-After`` as seconds or as an HTTP date."""
    milliseconds, value = headers.get("retry-after-ms"), headers.get("Retry-After")
    try:
        if milliseconds is not None:
            wait_s = float(milliseconds) / 1000
        elif value is None:
            return None
        elif value.strip()[:1].isalpha():
            wait_s = parsedate_to_datetime(value).timestamp() - now_unix_s
        else:
            wait_s = float(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, wait_s) if wait_s < float("inf") else None
