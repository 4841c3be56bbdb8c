"""The driver of a batch: it hands shards to actors, takes back what dead ones held, and brings all of it home.

Plain actors and not Ray Data, which asks a batch that killed its actor again for ever and does not say over which item.

Failure rules: an actor that dies, or whose node is lost, is replaced, and its shards go on from what is left of them on that disk
or at home. A shard that fails ``TRIES`` times, or over which ``DEATHS`` actors die, is left undone and named in the end. An actor
that fails ``TRIES`` times in a row, such as one whose disk is full, is given up, and with the last one the batch. What every actor
would meet ends it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NoReturn

from spct import errors
from spct.cluster.actor import Asked, Failure, JudgeActor, Ready
from spct.cluster.connecting import death_errors
from spct.cluster.cut import Cut, Shard
from spct.cluster.home import Home
from spct.cluster.metrics import Gauges
from spct.cluster.shard import Progress, ShardDone, Work
from spct.errors import EngineError, InputError, RunError
from spct.judges import Judge
from spct.voting.noise import PILOT_ITEMS

DEPTH = 2
"""Shards that an actor has at a time: of the first the last items are judged while the second begins."""
TRIES = 4
DEATHS = 10
"""How many actors may die over a shard, or lose their node, before it is left undone; n items that kill take n + 1 of them."""
COPY_EVERY_S = 30.0
LOOK_EVERY_S = 1.0
SAY_EVERY_S = 10.0
FATAL = ("InputError", "TemplateError", "ResumeRefusedError", "EngineMissingError", "EngineAuthError")
"""Errors that every actor would meet."""


@dataclass(frozen=True, slots=True)
class Seats:
    """How many actors there are to be, and what each needs: GPUs, CPUs, and items in flight (None: as suits the engine)."""

    actors: int
    gpus: float = 0
    cpus: float = 1
    in_flight: int | None = None

    def actor(self, kind: type[Any], name: str, node: str | None, *arguments: Any) -> Any:
        """Ray's handle of a new actor of this kind; on ``node``, where the one before it lived, if there is room."""
        scheduling = importlib.import_module("ray.util.scheduling_strategies")
        near = None if node is None else scheduling.NodeAffinitySchedulingStrategy(node, soft=True)
        options = {"num_gpus": self.gpus, "num_cpus": self.cpus, "max_concurrency": 64}
        made = importlib.import_module("ray").remote(kind).options(name=name, scheduling_strategy=near, **options)
        return made.remote(*arguments)


@dataclass(slots=True)
class Report:
    """What happened besides judging. ``undone`` are the shards that failed to the end, and the last error of each.

    ``seconds`` are those of the whole batch, ``started`` of them until the first actor had its judge, ``homing`` of them those in
    which the driver added shards to the run.
    """

    actors_died: int = 0
    nodes_lost: int = 0
    failures: int = 0
    undone: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0
    started: float = 0.0
    homing: float = 0.0


class Batch:
    """Judges the shards of ``cut`` by actors of ``seats``. ``build`` makes the judge, in an actor; it is pickled.

    ``open_home`` makes the run directory of what the first actor says of its judge. ``say`` is told how it goes. ``engines`` are
    those that the actors asked.
    """

    def __init__(
        self,
        cut: Cut,
        build: Callable[[], Judge],
        seats: Seats,
        settings: Mapping[str, Any],
        open_home: Callable[[Ready], Home],
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._ray = importlib.import_module("ray")
        self._gone = death_errors()
        self._cut, self._seats, self._say = cut, seats, say
        self._arguments = (build, settings, seats.in_flight)
        self._open_home = open_home
        self.home: Home | None = None
        self.report = Report()
        self._queue: deque[Shard] = deque()
        self.settled = asyncio.Event()
        self._failed: Counter[int] = Counter()
        self._deaths: Counter[int] = Counter()
        self._progress: dict[int, Progress] = {}
        self._before = Progress()
        self._working = 0
        self._last = ""
        self._adaptive = False
        self._begun = 0.0
        self.engines: list[Asked] = []

    async def run(self) -> Report:
        """Judge to the end. Raises EngineError, RunError, ResumeRefusedError or what else the actors say."""
        self._begun = started = monotonic()
        work = [asyncio.create_task(self._seat(number)) for number in range(self._seats.actors)]
        telling = asyncio.create_task(self._tell(started))
        settled = asyncio.create_task(self.settled.wait())
        try:
            pending = {settled, *work}
            while not self.settled.is_set() and len(pending) > 1:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            if not self.settled.is_set():
                raise EngineError(f"all actors gave up; the last error: {self._last}; go on with --resume")
            await asyncio.wait(work, timeout=10)  # they free their engines
        finally:
            for task in (settled, telling, *work):
                task.cancel()
            await asyncio.gather(settled, telling, *work, return_exceptions=True)
            self.report.seconds = monotonic() - started
            if self.home is not None:
                with contextlib.suppress(RunError):
                    self.home.took(self.report.seconds)
                self.home.close()
        return self.report

    async def _seat(self, number: int) -> None:
        """One actor after another in this place, until there is nothing left to judge."""
        node: str | None = None
        again: deque[tuple[Shard, str]] = deque()
        failures = 0
        while not self.settled.is_set() and failures < TRIES:
            actor = self._actor(number, node)
            seat = _Seat(self, number, actor, again)
            try:
                ready = await actor.start.remote()
                if isinstance(ready, Failure):
                    self._count(ready)
                    failures += 1
                    continue
                node = ready.node
                self._welcome(ready)
                self._working += 1
                try:
                    failures = await seat.feed(failures)
                finally:
                    self._working -= 1
                if self.settled.is_set():
                    await actor.stop.remote()
            except self._gone as error:
                node = self._mourn(seat, node, error)
                failures += not seat.running  # it died before it had anything to judge
            finally:
                self._retire(number)
                with contextlib.suppress(Exception):
                    self._ray.kill(actor)
            await asyncio.sleep(min(failures, 5) * LOOK_EVERY_S)
        for shard, _ in again:
            self.put_back(shard)

    def _actor(self, number: int, node: str | None) -> Any:
        """An actor for this seat, on the node of the one before it if that lives: there is what that one had not brought home."""
        name = f"spct-{self._cut.id[:8]}-{number}-{self.report.actors_died + self.report.failures}"
        return self._seats.actor(JudgeActor, name, node, *self._arguments)

    def _welcome(self, ready: Ready) -> None:
        """Open the run by what the first actor says of its judge; hold the others to it."""
        if self.home is None:
            self.report.started = monotonic() - self._begun
            self.home = self._open_home(ready)
            self._queue.extend(self.home.left)
            self._adaptive = ready.settings.get("adaptive") is not None
            self._settle()
        else:
            self.home.check(ready.settings)
        if (
            ready.engine not in self.engines
        ):  # a machine may choose another way to compute, or find something else of it
            self.engines.append(ready.engine)

    def take(self) -> Shard | None:
        """The next shard for an actor; with adaptive k the first one goes alone, since the others need what it learns."""
        assert self.home is not None
        if not self._queue or (self._adaptive and self._queue[0].number and 0 not in self.home.done):
            return None
        return self._queue.popleft()

    def work(self, shard: Shard, died: str | None) -> Work:
        assert self.home is not None
        noise = self.home.noise if self._adaptive and shard.number else None
        return Work(self._cut.id, shard.name, self._cut.read(shard), self.home.half_done(shard), died, noise)

    def bring_home(self, shard: Shard, result: ShardDone) -> None:
        """Add a shard to the run."""
        assert self.home is not None
        begun = monotonic()
        self.home.add(shard, result)
        self.report.homing += monotonic() - begun
        self._failed.pop(shard.number, None)
        self._settle()

    def fail(self, shard: Shard, failure: Failure) -> None:
        """A shard that failed by an error goes behind the others, as it may fail everywhere; left undone after ``TRIES``."""
        self._count(failure)
        self._failed[shard.number] += 1
        if self._failed[shard.number] >= TRIES:
            self._leave(shard, failure.message)
        elif shard.number:
            self._queue.append(shard)
        else:  # with adaptive k the others wait for it
            self._queue.appendleft(shard)

    def _leave(self, shard: Shard, why: str) -> None:
        if self._adaptive and not shard.number:
            raise EngineError(
                f"the first shard, from which adaptive k learns, cannot be judged: {why}; go on with --resume"
            )
        self.report.undone[shard.number] = why
        self._settle()

    def _mourn(self, seat: _Seat, node: str | None, error: Exception) -> str | None:
        """Note the death of an actor and give its shards to another; the node that it lived on, None if that is lost too."""
        alive = any(row["NodeID"] == node and row["Alive"] for row in self._ray.nodes())
        self.report.actors_died += 1
        self.report.nodes_lost += not alive
        why = in_a_line(error)
        self._last = why
        self._say(f"an actor died{'' if alive else ' with its node'}: {why}")
        for shard, _ in seat.running.values():
            self._deaths[shard.number] += 1
            if self._deaths[shard.number] >= DEATHS:
                self._leave(shard, why)
            elif alive:
                seat.again.append((shard, why))
            else:
                self.put_back(shard)
        return node if alive else None

    def _count(self, failure: Failure) -> None:
        self.report.failures += 1
        self._last = failure.message
        if failure.kind in FATAL:
            raise_failure(failure)
        self._say(f"an actor failed: {failure.kind}: {failure.message}")

    def _settle(self) -> None:
        assert self.home is not None
        if len(self.home.done) + len(self.report.undone) == len(self._cut.shards):
            self.settled.set()

    @property
    def set_aside(self) -> int:
        """How many items of the run were set aside because actors died over them."""
        return 0 if self.home is None else self.home.set_aside

    def put_back(self, shard: Shard) -> None:
        """Let another actor have a shard that is not done."""
        self._queue.appendleft(shard)

    def saw(self, number: int, progress: Progress) -> None:
        """What the actor of a seat has done so far."""
        self._progress[number] = progress

    def _retire(self, number: int) -> None:
        if (last := self._progress.pop(number, None)) is not None:
            for name in ("items", "judgments", "invalid", "tokens"):
                setattr(self._before, name, getattr(self._before, name) + getattr(last, name))

    async def _tell(self, started: float) -> None:
        gauges = Gauges()
        while True:
            gauges.show(self.measures())
            await asyncio.sleep(SAY_EVERY_S)
            self._say(self.line(monotonic() - started))

    def measures(self) -> dict[str, float]:
        """What the driver knows, by the names under which Ray's metrics have it."""
        return {
            "spct_shards": len(self._cut.shards),
            "spct_shards_home": self._shards_home,
            "spct_shards_undone": len(self.report.undone),
            "spct_items_set_aside": self.set_aside,
            "spct_actors_died": self.report.actors_died,
            "spct_actor_failures": self.report.failures,
        }

    @property
    def _shards_home(self) -> int:
        return 0 if self.home is None else len(self.home.done)

    def line(self, seconds: float) -> str:
        """How it goes, in a line."""
        seen = [self._before, *self._progress.values()]
        items, judgments = sum(p.items for p in seen), sum(p.judgments for p in seen)
        lost = f", {self.report.actors_died} actors died" if self.report.actors_died else ""
        shards = f"{self._shards_home:,}/{len(self._cut.shards):,} shards"
        return (
            f"{shards} home, {items:,} items and {judgments:,} samples in this session, "
            f"{judgments / max(seconds, 1e-9):,.0f} samples/s, {self._working} of {self._seats.actors} actors at work{lost}"
        )


class _Seat:
    """An actor and the shards that it has; ``again`` are those that the one before it in this seat died over, and how."""

    def __init__(self, batch: Batch, number: int, actor: Any, again: deque[tuple[Shard, str]]) -> None:
        self._batch, self._number, self._actor = batch, number, actor
        self.again = again
        self.running: dict[asyncio.Future[Any], tuple[Shard, Work]] = {}
        self._copied = monotonic()

    async def feed(self, failures: int) -> int:
        """Hand over shards until there are none, or as many failures in a row as may be; how many there were."""
        batch = self._batch
        while not batch.settled.is_set() and failures < TRIES:
            self._hand_over()
            if not self.running:
                await asyncio.sleep(LOOK_EVERY_S / 4)
                continue
            done, _ = await asyncio.wait(self.running, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                result = task.result()
                shard, work = self.running.pop(task)
                if isinstance(result, Failure):
                    failures += 1
                    batch.fail(shard, result)
                else:
                    failures = 0
                    batch.bring_home(shard, result)
                    await self._actor.forget.remote(work)
            batch.saw(self._number, await self._actor.progress.remote())
            await self._copy()
        for shard, _ in self.running.values():  # given up with work in hand
            batch.put_back(shard)
        self.running.clear()
        return failures

    def _hand_over(self) -> None:
        """Give the actor what it has room for. A shard that an actor died over goes alone: who dies then has died of it."""
        if self.again and not self.running:
            self._ask(*self.again.popleft())
        alone = self.again or any(work.died for _, work in self.running.values())
        while not alone and len(self.running) < DEPTH and (following := self._batch.take()) is not None:
            self._ask(following, None)

    def _ask(self, shard: Shard, died: str | None) -> None:
        work = self._batch.work(shard, died)
        reference = self._actor.judge.remote(work)
        task = asyncio.ensure_future(_result(reference))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody asks those of a dead actor
        self.running[task] = (shard, work)

    async def _copy(self) -> None:
        """Bring home what there is of the shards in hand, now and then: less often where that takes long."""
        begun = monotonic()
        if begun - self._copied < COPY_EVERY_S:
            return
        for shard, work in list(self.running.values()):
            run = await self._actor.copy.remote(work)
            if run is not None and self._batch.home is not None:
                self._batch.home.keep(shard, run)
        self._copied = begun + 20 * (monotonic() - begun)


async def _result(reference: Any) -> Any:
    return await reference


def in_a_line(error: Exception) -> str:
    """What Ray says of a death, in a line of bearable length."""
    return " ".join(str(error).split())[:300]


def raise_failure(failure: Failure) -> NoReturn:
    """Raise the error that the failure was in its actor."""
    kind = getattr(errors, failure.kind, EngineError)
    raise kind(failure.message)


def check_seats(cut: Cut, adaptive: float | None) -> None:
    """Raise InputError where adaptive k cannot learn from the first shard."""
    if adaptive is not None and cut.shards and cut.shards[0].count < min(PILOT_ITEMS, cut.items):
        raise InputError(f"--adaptive learns from the first {PILOT_ITEMS} items; make --shard-items that many or more")
