"""What runs on Ray's machines: an actor that holds one judge and judges shard after shard by it.

Of two shards that it is given, the second begins as soon as all items of the first are being judged, so that the engine stays
full. What spct itself foresees, such as a full disk, comes back as a ``Failure``: errors of other processes travel badly.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spct.cluster.metrics import Counters
from spct.cluster.shard import Progress, ShardDone, ShardRun, Work, copy_of
from spct.engines import Capabilities
from spct.errors import SpctError
from spct.judges import Judge
from spct.run.opening import described, session_of
from spct.templates import Template


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in an actor: the name of the error's class in ``spct.errors``, and its text."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The engine that an actor asks, as far as its samples depend on it."""

    model_id: str
    capabilities: Capabilities


@dataclass(frozen=True, slots=True)
class Ready:
    """An actor that has started: its node, and what its judge and its engine say of themselves."""

    node: str
    engine: Asked
    settings: Mapping[str, Any]
    session: Mapping[str, Any]
    templates: Mapping[str, Template]


class JudgeActor:
    """``build`` makes its judge, in this process; ``settings`` are those of the run besides the judge's.

    ``in_flight`` items are judged at once, as many as suit the engine if None.
    """

    def __init__(self, build: Callable[[], Judge], settings: Mapping[str, Any], in_flight: int | None) -> None:
        self._build = build
        self._settings = settings
        self._in_flight = in_flight
        self._turn = asyncio.Lock()
        self._progress = Progress()
        self._counters: Counters | None = None

    async def start(self) -> Ready | Failure:
        """Make the judge and start what it asks."""
        ray = importlib.import_module("ray")
        try:
            self._judge = self._build()
            await self._judge.engine.start()
            if self._judge.meta is not None:
                await self._judge.meta.start()
        except SpctError as error:
            return Failure(type(error).__name__, str(error))
        self._counters = Counters()
        return Ready(
            ray.get_runtime_context().get_node_id(),
            Asked(self._judge.engine.model_id, self._judge.engine.capabilities),
            described(self._judge, self._settings),
            session_of(self._judge),
            self._judge.templates,
        )

    async def judge(self, work: Work) -> ShardDone | Failure:
        """Judge a shard, once the one before it has begun all of its items."""
        await self._turn.acquire()
        begun = _Once(self._turn.release)
        try:
            in_flight = self._in_flight or self._judge.engine.capabilities.concurrency
            return await ShardRun(self._judge, self._settings, work, in_flight, self._progress, begun).run()
        except SpctError as error:
            return Failure(type(error).__name__, str(error))
        except OSError as error:  # of this machine's disk, where the run's own writes did not meet it first
            return Failure("RunError", f"{work.directory}: {error}")
        finally:
            begun()

    async def copy(self, work: Work) -> bytes | None:
        """The run of a shard as it stands."""
        return await asyncio.to_thread(copy_of, work.directory)

    async def progress(self) -> Progress:
        """What has been done, which Ray's own metrics are told too."""
        if self._counters is not None:
            self._counters.show(self._progress)
        return self._progress

    async def forget(self, work: Work) -> None:
        """Delete what is here of a shard that is home."""
        await asyncio.to_thread(shutil.rmtree, work.directory, ignore_errors=True)
        with contextlib.suppress(OSError):
            work.directory.parent.rmdir()

    async def stop(self) -> None:
        """Free what the judge asks."""
        await self._judge.engine.close()
        if self._judge.meta is not None:
            await self._judge.meta.close()


class _Once:
    """Calls ``release`` the first time that it is called."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release: Callable[[], None] | None = release

    def __call__(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            release()
