"""Stopping by Ctrl-C or SIGTERM, within a second whatever is going on.

Work runs on an event loop in a thread of its own, while the main thread, the only one that hears signals, does nothing but
wait for them: a loop that is busy in one call, or an engine that never comes back, cannot keep a signal from being heard.
Work that does not end in time is left where it is, and the process ends; runs are made to survive that.
"""

from __future__ import annotations

import asyncio
import gc
import os
import queue
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import click

from spct.cli.ending import STOP_WITHIN_S, STOPPED
from spct.cli.streams import OutputError

T = TypeVar("T")


def new_runner() -> asyncio.Runner:
    """The event loop that judging runs on."""
    gc.set_threshold(
        50_000, 20, 20
    )  # judging makes many small objects, which reference counts free: do not scan for them
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


class Background(Generic[T]):
    """``work`` on a loop in another thread, and this one listening to signals until it has ended."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self._events: queue.SimpleQueue[str | None] = queue.SimpleQueue()  # None: the work has ended
        self._task: asyncio.Task[T] | None = None
        self._result: T | None = None
        self._error: BaseException | None = None

    def run(self, heard: Callable[[str, int], float | None]) -> T:
        """The work's result, or what it raises. To be called by the main thread.

        ``heard`` is told the name of a signal and how many have come by then; it returns how many seconds the work may go on
        after that, None for as long as it likes. Raises TimeoutError once those are over.
        """
        names = (signal.SIGINT, signal.SIGTERM)
        before = [
            signal.signal(name, lambda number, _: self._events.put(signal.Signals(number).name)) for name in names
        ]
        threading.Thread(target=self._main, name="spct-loop", daemon=True).start()
        count, wait_s = 0, None
        try:
            while True:
                try:
                    event = self._events.get(timeout=wait_s)
                except queue.Empty:
                    raise TimeoutError from None
                if event is None:
                    break
                count += 1
                wait_s = heard(event, count)
        finally:
            for name, handler in zip(names, before, strict=True):
                signal.signal(name, handler)
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def cancel(self) -> None:
        """Cancel the work; from any thread."""
        task = self._task
        if task is not None:
            task.get_loop().call_soon_threadsafe(task.cancel)

    def _main(self) -> None:
        try:
            with new_runner() as runner:
                self._result = runner.run(self._noted())
        except BaseException as error:
            self._error = error
        self._events.put(None)

    async def _noted(self) -> T:
        self._task = asyncio.ensure_future(self._work)
        return await self._task


def run_stoppable(work: Coroutine[Any, Any, int], out: Path | None, go_on: Sequence[str] = ("--resume",)) -> int:
    """Run to the end or to the first Ctrl-C or SIGTERM, which cancels what is in flight and says how to go on.

    ``out`` keeps what was done, if it is named; ``go_on`` is what the command must have to go on with it.
    """
    background = Background(work)
    heard: list[str] = []

    def stop(name: str, count: int) -> float:
        heard.append(name)
        background.cancel()
        return STOP_WITHIN_S if count == 1 else 0.0

    try:
        return int(background.run(stop))
    except asyncio.CancelledError:
        if not heard:
            raise
        click.echo(_stopped(out, go_on), err=True)
        return STOPPED
    except TimeoutError:
        if not heard:
            raise
        leave(_stopped(out, go_on))
    except OutputError:
        if out:
            click.echo(_stopped(out, go_on), err=True)
        raise


def leave(last_words: str) -> NoReturn:
    """End the process now, whatever its other threads are in."""
    with_newline = f"{last_words}\n" if last_words else ""
    os.write(2, with_newline.encode(errors="replace"))  # sys.stderr may be locked by a thread that is stuck in it
    os._exit(STOPPED)


def _stopped(out: Path | None, go_on: Sequence[str]) -> str:
    if not out:
        return "stopped; nothing was kept (no --out)"
    more = [word for word in go_on if word not in sys.argv]
    return f"stopped; go on with: {shlex.join(['spct', *without_secrets(sys.argv[1:]), *more])}"


PAIRS = ("--engine-option", "--meta-option", "--judge-option", "--param")
"""Options of the form NAME=VALUE, whose values may be anything."""
HIDDEN = "..."
_WORDY = frozenset(
    {"grammar-style", "device", "dtype", "encoding", "tournament", "aggregate", "template", "form", "label"}
)
_PLAIN = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?|true|false|yes|no|on|off|null", re.IGNORECASE)
_SECRET = frozenset(
    "key token secret password passwd auth authorization credential credentials header headers cookie".split()
)


def names_secret(name: str) -> bool:
    """Whether something of this name, as a header or an option, is most likely a secret."""
    return not _SECRET.isdisjoint(name.lower().replace("_", "-").split("-"))


def without_secrets(arguments: Sequence[str]) -> list[str]:
    """The arguments with ``...`` in place of every value that may hold a key, and no login or query in an address."""
    kept: list[str] = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        joined = argument.startswith("--") and "=" in argument
        option, value = argument.split("=", 1) if joined else (before, argument)
        if option == "--api-key":
            value = HIDDEN
        elif option == "--header":
            value = f"{value.partition('=')[0]}={HIDDEN}" if "=" in value else HIDDEN
        elif option in PAIRS:
            value = _pair_shown(value)
        value = re.sub(r"(?<=://)[^/\s]*@", "", value)
        value = re.sub(r"(://[^?#\s]*)[?#]\S*", r"\1", value)
        kept.append(f"{option}={value}" if joined else value)
    return kept


def _pair_shown(pair: str) -> str:
    name, equals, value = pair.partition("=")
    words = name.lower().replace("_", "-")
    if words in _WORDY or (_PLAIN.fullmatch(value) and not names_secret(name)):
        return pair
    return f"{name}={HIDDEN}" if equals else HIDDEN
