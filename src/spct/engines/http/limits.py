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
    """Everything a request of one engine waits for before it is sent.

    Tokens are reserved by estimate (hosted servers, too, book the estimate first) and corrected by the usage of the
    reply. A pause concerns every request of the engine: one 429 with Retry-After stops all of them, and a little
    jitter keeps them from coming back in the same instant.
    """

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        self._requests = Throttle(requests_per_minute) if requests_per_minute else None
        self._tokens = Throttle(tokens_per_minute) if tokens_per_minute else None
        self._paused_until = 0.0

    def pause(self, seconds: float) -> None:
        """Hold all requests back for ``seconds`` from now."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    async def wait(self, tokens: float) -> None:
        """Return when a request of about ``tokens`` tokens may be sent."""
        if self._requests or self._tokens:
            now = time.monotonic()
            wait_s = self._requests.reserve(1, now) if self._requests else 0.0
            if self._tokens:
                wait_s = max(wait_s, self._tokens.reserve(tokens, now))
            if wait_s > 0:
                await asyncio.sleep(wait_s)
        # A loop, since another reply may prolong the pause while this request sleeps.
        while (wait_s := self._paused_until - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(wait_s * random.uniform(1.0, 1.1))

    def correct(self, tokens: float) -> None:
        """Book ``tokens`` more than the estimate, fewer where negative."""
        if self._tokens:
            self._tokens.correct(tokens)


def backoff_s(tries: int, first_s: float) -> float:
    """Exponential backoff with full jitter after ``tries`` failed tries, at most LONGEST_BACKOFF_S."""
    return random.uniform(0.0, min(LONGEST_BACKOFF_S, first_s * 2.0 ** min(tries - 1, 30)))


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
