"""What a run shows while it goes: one live line on a terminal, a plain line now and then elsewhere.

Everything goes to stderr; stdout gets only what ``print`` is given. The counters are updated by the run's own thread
and read by a timer's, so a finished request costs a few additions and no drawing.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import IO, Self

from rich.cells import cell_len

from spct.run import Outcome
from spct.types import Judgment, Usage
from spct.views import Counts, Surface, Totals
from spct.views.surface import cut
from spct.wording import count, percent, spell_seconds

LIVE_S = 0.2
"""How often the live line is drawn."""
WINDOW_S = 10.0
"""Tokens per second are those of the last so many seconds."""
_CLEAR = "\r\x1b[2K"
_BAR = 16
_GAP = "  "


class RunProgress:
    """Counts a run and shows how it goes, between ``with`` and its end.

    ``price_in`` and ``price_out`` are for a million tokens; a cost is shown if one of them is given. ``interval_s`` is
    the least time between two plain lines. ``clock`` gives seconds.
    """

    def __init__(
        self,
        total: int | None,
        *,
        stream: IO[str] | None = None,
        out: IO[str] | None = None,
        price_in: float | None = None,
        price_out: float | None = None,
        interval_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total
        self._stream = stream or sys.stderr
        self._out = out or sys.stdout
        self._surface = Surface.of(self._stream)
        self._live = self._surface.terminal and not _dumb()
        self._prices = (price_in, price_out)
        self._interval_s = LIVE_S if self._live else interval_s
        self._clock = clock
        self._started = clock()
        self._ended: float | None = None
        self._counts = Counts()
        self._sampled = 0
        self._invalid: Counter[str] = Counter()
        self._prompt_tokens = self._completion_tokens = self._cached_tokens = self._requests = 0
        self._recent: deque[tuple[float, int]] = deque()
        self._drawn = False
        self._drawn_at = -LIVE_S
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._timer = threading.Thread(target=self._tick, name="spct-progress", daemon=True)

    def __enter__(self) -> Self:
        self._started = self._clock()
        self._recent.append((self._started, 0))
        if not self._live:
            planned = "items" if self.total is None else count(self.total, "item")
            self._say(f"judging {planned}")
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._timer.join()
        self._ended = self._clock()
        with self._lock, contextlib.suppress(OSError, ValueError):  # stderr may be gone, and must not hide the error
            self._wipe()
            self._say(("done: " if kind is None else "stopped: ") + ", ".join(self._facts(finished=True)))

    def on_request(self, judgments: Sequence[Judgment], usage: Usage) -> None:
        """Count a finished request."""
        self._sampled += len(judgments)
        for judgment in judgments:
            if judgment.problem is not None:
                self._invalid[judgment.problem.code] += 1
        self._prompt_tokens += usage.prompt_tokens
        self._completion_tokens += usage.completion_tokens
        self._cached_tokens += usage.cached_tokens
        self._requests += usage.requests

    def on_item(self, outcome: Outcome) -> None:
        """Count an item that is done."""
        self._counts.add(outcome.verdict, outcome.item, outcome.replayed)

    def print(self, text: str) -> None:
        """Write a line to stdout; the live line makes room for it."""
        with self._lock:
            self._wipe()
            write_line(self._out, text)
            if self._live and self._clock() - self._drawn_at >= LIVE_S / 2:
                self._draw()

    @property
    def totals(self) -> Totals:
        """Everything counted so far."""
        return self._counts.totals(
            planned=self.total,
            usage=Usage(self._prompt_tokens, self._completion_tokens, self._cached_tokens, self._requests),
            seconds=(self._ended or self._clock()) - self._started,
            cost=self._cost(),
        )

    def refresh(self) -> None:
        """Show the state now; called by the timer."""
        now = self._clock()
        self._recent.append((now, self._completion_tokens))
        while len(self._recent) > 2 and now - self._recent[1][0] >= WINDOW_S:
            self._recent.popleft()
        with self._lock:
            if self._live:
                self._draw()
            else:
                self._say(", ".join(self._facts()))

    def _tick(self) -> None:
        while not self._over.wait(self._interval_s):
            try:
                self.refresh()
            except (OSError, ValueError):
                return  # stderr is gone: the run itself must not suffer from it

    def _draw(self) -> None:
        surface = Surface.of(self._stream)
        room = surface.width - 1
        facts = self._facts()
        fits_bar = self.total is not None and cell_len(_GAP.join(facts)) + _BAR + 2 <= room
        while len(facts) > 1 and cell_len(_GAP.join(facts)) > room:
            facts.pop(-2)  # what is done and what is left stay longest
        bar = self._bar(surface) + _GAP if fits_bar else ""
        self._stream.write(_CLEAR + bar + cut(_GAP.join(facts), room))
        self._stream.flush()
        self._drawn, self._drawn_at = True, self._clock()

    def _bar(self, surface: Surface) -> str:
        done = min(_BAR, _BAR * self._counts.items // max(1, self.total or 0))
        return surface.paint("━" * done, "green") + surface.paint("─" * (_BAR - done), "dim")

    def _facts(self, finished: bool = False) -> list[str]:
        items = f"{self._counts.items:,}" + ("" if self.total is None else f"/{self.total:,}")
        facts = [f"{items} items", count(self._sampled, "sample")]
        if self._sampled:
            facts.append(f"{percent(sum(self._invalid.values()), self._sampled)} invalid")
        if self._counts.replayed:
            facts.append(f"{self._counts.replayed:,} from before")
        if (cost := self._cost()) is not None:
            facts.append(f"cost {cost:,.4f}")
        if self._requests:
            facts.append(f"{self._tokens_per_s(finished):,.0f} tokens/s")
        if finished:
            facts.append(spell_seconds((self._ended or self._clock()) - self._started))
        elif (left_s := self._left_s()) is not None:
            facts.append(f"about {spell_seconds(left_s)} left")
        return facts

    def _tokens_per_s(self, finished: bool) -> float:
        """Generated tokens per second: over the whole session at its end, over the last seconds before that."""
        start, tokens = (self._started, 0) if finished or not self._recent else self._recent[0]
        elapsed = (self._ended or self._clock()) - start
        return (self._completion_tokens - tokens) / elapsed if elapsed > 0 else 0.0

    def _left_s(self) -> float | None:
        """Seconds to the end at this session's pace; items that only came back from the run directory do not count."""
        fresh, elapsed = self._counts.fresh_items, self._clock() - self._started
        if self.total is None or not fresh or elapsed <= 0:
            return None
        return max(0, self.total - self._counts.items) * elapsed / fresh

    def _cost(self) -> float | None:
        price_in, price_out = self._prices
        if price_in is None and price_out is None:
            return None
        return (self._prompt_tokens * (price_in or 0.0) + self._completion_tokens * (price_out or 0.0)) / 1e6

    def _wipe(self) -> None:
        if self._drawn:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._drawn = False

    def _say(self, text: str) -> None:
        write_line(self._stream, text)


def write_line(stream: IO[str], text: str) -> None:
    """Write a line at once; characters that the stream's encoding lacks become question marks."""
    try:
        stream.write(text + "\n")
    except UnicodeEncodeError:
        encoding = getattr(stream, "encoding", None) or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()


def _dumb() -> bool:
    return os.environ.get("TERM", "dumb") == "dumb"
