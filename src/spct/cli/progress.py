"""What a run shows while it goes: a live line on a terminal, a plain line now and then elsewhere.

Everything goes to stderr; stdout gets only what ``print`` is given. The counters are updated by the run's own thread
and read by a timer's, so a finished request costs a few additions and no drawing.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import IO, Self

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from spct.cli.pace import Pace, samples_left
from spct.measures.case import Scale
from spct.prices import Prices
from spct.run import Outcome
from spct.types import Judgment, Usage
from spct.views import Totals
from spct.views.surface import cut
from spct.wording import count, percent, rate, rate_over, spell_seconds

TICK_S = 0.2
"""How often the state is noted, and the live line drawn."""
BARS = (40, 32, 24, 16, 8)
"""Widths of the bar: steps, so that it does not move with every digit."""
LEFT_OUT = ("cost", "before", "invalid", "samples", "rate")
"""What a narrow terminal goes without, in this order, so that there is room for the bar."""
_GAP = "  "
NO_PRICES = Prices()
_GONE = contextlib.suppress(OSError, ValueError)
"""stderr may be gone: the run must not suffer from that, nor the error be hidden that ended it."""


class RunProgress:
    """Counts a run and shows how it goes, between ``with`` and its end.

    ``total`` items are to be judged, by ``k`` samples each; ``k`` is None where that is not fixed, ``total`` where nobody
    knows. ``scale`` is that of the scores, None if unknown. A cost is shown where there are ``prices``.
    ``interval_s`` is the least time between two plain lines. ``clock`` gives seconds.
    """

    def __init__(
        self,
        total: int | None,
        *,
        k: int | None = None,
        scale: Scale | None = None,
        lenient: str | None = None,
        prices: Prices = NO_PRICES,
        console: Console | None = None,
        out: IO[str] | None = None,
        interval_s: float = 10.0,
        tick_s: float = TICK_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or Console(file=sys.stderr, force_terminal=sys.stderr.isatty())
        self._out = out or sys.stdout
        self._live = self._console.is_interactive and not _is_pipe(self._out)
        self._k = k
        self._interval_s, self._tick_s, self._clock = interval_s, tick_s, clock
        self._totals = Totals(planned=total, scale=scale, lenient=lenient, prices=prices)
        self._sampled = self._invalid = 0
        self._replayed_before = 0
        self._started = self._said_at = clock()
        self._ended: float | None = None
        self._pace = Pace(self._started)
        self._bar = BarColumn(complete_style="green", finished_style="green")
        self._text = TextColumn("{task.description}", markup=False)
        self._display = Progress(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, get_time=clock
        )
        self._task = self._display.add_task("")
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._timer = threading.Thread(target=self._watch, name="spct-progress", daemon=True)

    def __enter__(self) -> Self:
        if not self._live:
            planned = self._totals.planned
            self._say(f"judging {'items' if planned is None else count(planned, 'item')}")
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._timer.join()
        self._ended = self._clock()
        with self._lock, _GONE:
            self._wipe()
            self._say(("done: " if kind is None else "stopped: ") + ", ".join(self._facts().values()))

    def on_request(self, judgments: Sequence[Judgment], usage: Usage) -> None:
        """Count a finished request."""
        self._sampled += len(judgments)
        for judgment in judgments:
            self._invalid += judgment.problem is not None
        self._totals.usage += usage

    def on_item(self, outcome: Outcome) -> None:
        """Count an item that is done."""
        self._totals.add(outcome.verdict, outcome.item, outcome.replayed)

    def print(self, text: str) -> None:
        """Write a line to stdout; the live line makes room, and comes back with the next tick."""
        with self._lock:
            self._wipe()
            write_line(self._out, text)

    @property
    def totals(self) -> Totals:
        """Everything counted so far."""
        return replace(self._totals, seconds=(self._ended or self._clock()) - self._started)

    def tick(self) -> None:
        """Note the state, and show it if it is time to."""
        now, replayed = self._clock(), self._totals.replayed
        tokens = self._totals.usage.completion_tokens
        self._pace.mark(now, self._sampled, tokens, replaying=replayed > self._replayed_before)
        self._replayed_before = replayed
        with self._lock:
            if self._live:
                self._draw()
            elif now - self._said_at >= self._interval_s:
                self._said_at = now
                self._say(", ".join(self._facts().values()))

    def _watch(self) -> None:
        while not self._over.wait(self._tick_s):
            with _GONE:
                self.tick()

    def _draw(self) -> None:
        room = self._console.width - 1
        facts = self._facts()
        for name in LEFT_OUT:
            if _width(facts) + 1 + BARS[-1] > room:
                facts.pop(name, None)
        self._bar.bar_width = next((bar for bar in BARS if _width(facts) + 1 + bar <= room), 0)
        self._display.columns = (self._bar, self._text) if self._bar.bar_width else (self._text,)
        left, done = samples_left(self._totals, self._sampled, self._k), self._sampled + self._totals.replayed
        self._display.update(
            self._task,
            completed=done,
            total=None if left is None else done + left,
            description=cut(_GAP.join(facts.values()), room),
        )
        self._display.start()
        self._console.show_cursor()  # rich hides it, and whoever is killed outright cannot bring it back
        self._display.refresh()

    def _facts(self) -> dict[str, str]:
        """What there is to say by now, in the order in which it is said."""
        totals = self._totals
        planned = "" if totals.planned is None else f"/{totals.planned:,}"
        facts = {"items": f"{totals.items:,}{planned} items", "samples": count(self._sampled, "sample")}
        if self._sampled:
            facts["invalid"] = f"{percent(self._invalid, self._sampled)} invalid"
        if totals.replayed:
            facts["before"] = f"{totals.replayed:,} from before"
        if (cost := totals.prices.of_usage(totals.usage)) is not None:
            facts["cost"] = f"cost {cost:,.4f}"
        if self._ended is not None:
            seconds = self._ended - self._started
            if tokens := rate_over(seconds, totals.usage.completion_tokens, "token"):
                facts["rate"] = tokens
            facts["time"] = spell_seconds(seconds)
        elif per_s := self._pace.samples_per_s:
            facts |= self._outlook(per_s)
        return facts

    def _outlook(self, per_s: float) -> dict[str, str]:
        """The rate of the last seconds, and the time that the rest takes at it."""
        tokens_per_s = self._pace.tokens_per_s
        facts = {"rate": rate(tokens_per_s, "token") if tokens_per_s else rate(per_s, "sample")}
        if (left := samples_left(self._totals, self._sampled, self._k)) is not None:
            how = "" if self._k is not None else ", by items done"
            facts["left"] = f"about {spell_seconds(left / per_s)} left{how}"
        return facts

    def _wipe(self) -> None:
        if self._live:
            with _GONE:
                self._display.stop()

    def _say(self, text: str) -> None:
        write_line(self._console.file, text)


def write_line(stream: IO[str], text: str) -> None:
    """Write a line at once; characters that the stream's encoding lacks become question marks."""
    try:
        stream.write(text + "\n")
    except UnicodeEncodeError:
        encoding = getattr(stream, "encoding", None) or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()


def _width(facts: dict[str, str]) -> int:
    return cell_len(_GAP.join(facts.values()))


def _is_pipe(stream: IO[str]) -> bool:
    """Whether another program reads the stream: where that writes to the same terminal, a live line would be in its way."""
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False
