"""An event loop on a daemon thread: how the plain methods of an asynchronous object run their work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """One loop for the work of any number of threads; it starts with the first work, and again after ``stop``."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

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
