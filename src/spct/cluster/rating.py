"""A meta RM in actors on Ray's machines, as one meta RM of this process: ``run.rating`` rates a run by it.

The driver reads the run, hands over judgments with their prompts, and stores what comes back; no actor writes anything.

Failure rules: an actor that dies is replaced. What it had under way is rated again in small groups, and one by one where such a
group dies too; a judgment that is alone when its actor dies gets no rating, with that as the reason. Judgments that an actor cannot
rate go to another one, and end the rating after ``TRIES``. An actor that fails ``TRIES`` times in a row, or dies ``DEATHS`` times
without a rating between, is given up, and with the last one the rating ends. What every actor would meet ends it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from spct.cluster.actor import Failure
from spct.cluster.batch import DEATHS, FATAL, TRIES, Seats, raise_failure
from spct.errors import EngineError, InputError, SpctError
from spct.meta import Case, MetaRM
from spct.voting.ratings import Rating

GROUP = 16
"""How many judgments are rated together when an actor has died over them and others."""
LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class ReadyToRate:
    """An actor that has started: its node, and what its meta RM says of itself."""

    node: str
    model_id: str
    special_tokens: tuple[str, ...]


class MetaActor:
    """Holds the meta RM that ``build`` makes, in its own process."""

    def __init__(self, build: Callable[[], MetaRM]) -> None:
        self._build = build

    async def start(self) -> ReadyToRate | Failure:
        """Make the meta RM and start it."""
        ray = importlib.import_module("ray")
        counter = importlib.import_module("ray.util.metrics").Counter
        try:
            self._meta = self._build()
            await self._meta.start()
        except SpctError as error:
            return Failure(type(error).__name__, str(error))
        self._rated = counter("spct_ratings", description="Judgments that this actor has rated.")
        node = ray.get_runtime_context().get_node_id()
        return ReadyToRate(node, self._meta.model_id, tuple(self._meta.special_tokens))

    async def rate(self, cases: Sequence[Case]) -> list[Rating] | Failure:
        """One rating per case, in order."""
        try:
            ratings = await self._meta.rate(cases)
        except SpctError as error:
            return Failure(type(error).__name__, str(error))
        self._rated.inc(len(ratings))
        return ratings

    async def stop(self) -> None:
        """Free what the meta RM holds."""
        await self._meta.close()


class ActorsMeta:
    """Rates by ``seats.actors`` actors side by side, each with the meta RM that ``build`` makes there; it is pickled.

    ``say`` is told of failures.
    """

    def __init__(self, build: Callable[[], MetaRM], seats: Seats, say: Callable[[str], None] = lambda _: None) -> None:
        self.build, self.say = build, say
        self.id = uuid.uuid4().hex[:8]
        self.gone = importlib.import_module("ray.exceptions").RayActorError
        self._seats = [_Seat(self, number, seats) for number in range(seats.actors)]
        self._first: ReadyToRate | None = None
        self.last = ""

    @property
    def model_id(self) -> str:
        assert self._first is not None
        return self._first.model_id

    @property
    def special_tokens(self) -> tuple[str, ...]:
        assert self._first is not None
        return self._first.special_tokens

    async def start(self) -> None:
        """Have all actors started; returns when one can rate."""
        for seat in self._seats:
            seat.begin()
        await self._open_seat()

    async def rate(self, cases: Sequence[Case]) -> list[Rating]:
        for _ in range(TRIES):
            seat = await self._open_seat()
            if (ratings := await seat.rate(cases)) is not None:
                return ratings
        raise EngineError(f"{len(cases)} judgments could not be rated by {TRIES} actors; the last error: {self.last}")

    async def close(self) -> None:
        await asyncio.gather(*(seat.close() for seat in self._seats))

    def welcome(self, ready: ReadyToRate) -> None:
        """Take the first actor's word for all of them. Raises InputError for one that rates by another model."""
        if self._first is None:
            self._first = ready
        if (ready.model_id, ready.special_tokens) != (self._first.model_id, self._first.special_tokens):
            raise InputError(
                f"the meta RM is {self._first.model_id} on one machine and {ready.model_id} on another, or their special tokens "
                "differ; install the same one on all of them"
            )

    async def _open_seat(self) -> _Seat:
        """The seat with least to do, once there is one that can rate. Raises EngineError where none is left."""
        while True:
            for seat in self._seats:
                seat.raise_fatal()
            if open_seats := [seat for seat in self._seats if seat.is_open]:
                return min(open_seats, key=lambda seat: seat.load)
            if all(seat.given_up for seat in self._seats):
                raise EngineError(f"all actors gave up; the last error: {self.last}")
            await asyncio.sleep(LOOK_EVERY_S)


class _NotHere(Exception):
    """The seat cannot rate this; another is to be asked."""


class _Seat:
    """One actor after another. ``load`` is how many judgments it has; ``suspects`` are chunks over which one died, kept apart."""

    def __init__(self, meta: ActorsMeta, number: int, seats: Seats) -> None:
        self._meta, self._number, self._seats = meta, number, seats
        self._made = 0
        self._actor: Any = None
        self._starting: asyncio.Task[Any] | None = None
        self._node: str | None = None
        self._alone = asyncio.Lock()
        self._failures = self._deaths = 0
        self.load = self.suspects = 0

    @property
    def given_up(self) -> bool:
        return self._failures >= TRIES or self._deaths >= DEATHS

    @property
    def is_open(self) -> bool:
        """Whether it can rate at once, and beside others."""
        return self._actor is not None and not self.suspects and not self.given_up

    def begin(self) -> None:
        """Have the first actor, or the next one, started."""
        self._actor = None
        self._starting = asyncio.create_task(self._start())
        self._starting.add_done_callback(lambda done: done.cancelled() or done.exception())  # see ``raise_fatal``

    def raise_fatal(self) -> None:
        """Raise what kept an actor from starting and would keep every other."""
        if self._starting is not None and self._starting.done():
            self._starting.result()

    async def rate(self, cases: Sequence[Case]) -> list[Rating] | None:
        """One rating per case; None if another seat is to be asked."""
        self.load += len(cases)
        try:
            return await self._ask(cases)
        except self._meta.gone:
            self.suspects += 1
            try:
                async with self._alone:
                    return await self._rate_apart(cases, GROUP)
            except _NotHere:
                return None
            finally:
                self.suspects -= 1
        except _NotHere:
            return None
        finally:
            self.load -= len(cases)

    async def _rate_apart(self, cases: Sequence[Case], size: int) -> list[Rating]:
        """Rate ``size`` at a time and nothing beside them, to find those over which actors die."""
        found: list[Rating] = []
        for begin in range(0, len(cases), size):
            part = cases[begin : begin + size]
            try:
                found += await self._ask(part)
            except self._meta.gone:
                if len(part) == 1:
                    why = f"an actor died while it rated this judgment, and one before it beside others: {self._meta.last}"
                    found.append(Rating(None, why))
                else:
                    found += await self._rate_apart(part, 1)
        return found

    async def _ask(self, cases: Sequence[Case]) -> list[Rating]:
        """Raises Ray's error where the actor dies, and has another one started."""
        while self._actor is None:
            if self.given_up:
                raise _NotHere
            assert self._starting is not None
            await asyncio.shield(self._starting)
        actor = self._actor
        try:
            found = await _result(actor.rate.remote(cases))
        except self._meta.gone as error:
            if actor is self._actor:  # the first of what was under way there sees to it
                self._deaths += 1
                self._note("an actor died", " ".join(str(error).split())[:300])
                self.begin()
            raise
        if isinstance(found, Failure):
            self._fail(found)
            raise _NotHere
        self._failures = self._deaths = 0
        ratings: list[Rating] = found
        return ratings

    async def _start(self) -> None:
        """An actor that can rate, unless the seat is given up before."""
        while not self.given_up:
            self._made += 1
            name = f"spct-meta-{self._meta.id}-{self._number}-{self._made}"
            actor = self._seats.actor(MetaActor, name, self._node, self._meta.build)
            try:
                ready = await _result(actor.start.remote())
            except self._meta.gone as error:
                self._failures += 1
                self._note("an actor died before it could rate", " ".join(str(error).split())[:300])
            else:
                if not isinstance(ready, Failure):
                    self._node = ready.node
                    self._meta.welcome(ready)
                    self._actor = actor
                    return
                self._fail(ready)
            with contextlib.suppress(Exception):
                importlib.import_module("ray").kill(actor)
            await asyncio.sleep(self._failures)

    def _fail(self, failure: Failure) -> None:
        self._failures += 1
        if failure.kind in FATAL:
            raise_failure(failure)
        self._note(f"an actor failed: {failure.kind}", failure.message)

    def _note(self, what: str, why: str) -> None:
        self._meta.last = why
        self._meta.say(f"{what}: {why}")

    async def close(self) -> None:
        """Free what the actor holds, and end it."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._actor is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(_result(self._actor.stop.remote()), 10)
            importlib.import_module("ray").kill(self._actor)
            self._actor = None


async def _result(reference: Any) -> Any:
    return await reference
