"""Asynchronous work: on a loop in a thread of its own for plain callers, and side by side without losing a failure."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, Self, TypeVar

from spct.errors import RequestError

T = TypeVar("T")


class LoopThread:
    """One loop for the work of any number of threads; it starts with the first work, and again after ``stop``.

    A process that was forked off has no thread of its parent's: there it starts anew. A copy by pickling is a new one.
    """

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        _THREADS.add(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return LoopThread, ()

    def forget(self) -> None:
        """Leave a parent's loop alone, in a process that was forked off."""
        if self._loop is not None:
            OF_PARENTS.append(self._loop)
        self._starting, self._loop, self._thread = threading.Lock(), None, None

    @property
    def running(self) -> bool:
        """Whether there has been work since the last ``stop``."""
        return self._loop is not None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``, or what it raises."""
        future = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C in the caller must stop the sampling too
            raise

    def stop(self) -> None:
        """End the loop, if it runs."""
        if self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="spct", daemon=True)
                self._thread.start()
            return self._loop


_THREADS: weakref.WeakSet[LoopThread] = weakref.WeakSet()
OF_PARENTS: list[Any] = []
"""What a process that was forked off must neither use nor free: it shares the sockets and their selector with its parent."""


def _forget_threads() -> None:
    for thread in list(_THREADS):
        thread.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


class OwnLoop:
    """An asynchronous object that plain code can use too: its plain methods run on a loop of their own in a thread.

    Use the plain methods or the ``a...`` ones of an object, not both: what it opens belongs to one loop.
    """

    def __init__(self, thread: LoopThread | None = None) -> None:
        self.thread = thread or LoopThread()

    async def aclose(self) -> None:
        """Give up what the object holds."""
        raise NotImplementedError

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``, run on the loop of the plain methods: for code that calls the ``a...`` ones there."""
        return self.thread.run(work)

    def iterate(self, values: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        """The values one by one, made on that loop; stopping early ends the work for the rest of them."""
        try:
            with contextlib.suppress(StopAsyncIteration):
                while True:
                    yield self.run(_next(values))
        finally:
            self.run(_close(values))

    def close(self) -> None:
        """``aclose`` from plain code, and the end of the loop."""
        if self.thread.running:
            self.run(self.aclose())
            self.thread.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def aside(work: Callable[[], T], long: bool) -> T:
    """The result of ``work``: done in another thread if it is ``long``, so that the loop goes on meanwhile."""
    return await asyncio.to_thread(work) if long else work()


class Passes:
    """Keeps one pass of the event loop from being filled by work that begins many times over.

    Whoever is about to hold the loop for a moment awaits ``turn`` before: in a pass in which others have held it for ``pass_s``
    already it waits for a later one, behind those that came before it.
    """

    def __init__(self, pass_s: float = 0.01) -> None:
        self._pass_s = pass_s
        self._line = asyncio.Lock()
        self._began: float | None = None

    async def turn(self) -> None:
        """Return when there is room in this pass."""
        async with self._line:
            if self._began is not None and monotonic() - self._began > self._pass_s:
                await asyncio.sleep(0)
            if self._began is None:
                self._began = monotonic()
                asyncio.get_running_loop().call_soon(self._over)

    def _over(self) -> None:
        self._began = None


async def _next(values: AsyncGenerator[T, None]) -> T:
    return await anext(values)


async def _close(values: AsyncGenerator[Any, None]) -> None:
    await values.aclose()


async def gather_all(coroutines: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all to their end, so that what one failure leaves behind is still recorded; then raise the gravest error.

    The first runs in the caller's own task: most often there are two, and a task costs more than a small step of work.
    """
    if len(coroutines) < 2:
        return [await coroutine for coroutine in coroutines]
    first, *others = coroutines
    tasks = [asyncio.ensure_future(other) for other in others]
    results: list[T] = []
    errors: list[Exception] = []
    try:
        for work in (first, *tasks):
            try:
                results.append(await work)
            except Exception as error:
                errors.append(error)
    except BaseException:  # cancelled: so are all of them
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    if errors:
        raise min(errors, key=lambda error: isinstance(error, RequestError))
    return results
