"""A meta RM in actors on Ray's machines, as one meta RM of this process: ``run.rating`` rates a run by it.

The driver reads the run, hands over judgments with their prompts, and stores what comes back; no actor writes anything.

Failure rules: an actor that dies is replaced. What it had under way is rated again in small groups, and one by one where such a
group dies too; a judgment that is alone when its actor dies gets no rating, with that as the reason. Judgments that an actor cannot
rate go to another one, and end the rating after ``TRIES``. An actor that fails ``TRIES`` times in a row, or dies ``DEATHS`` times
without a rating between, is given up, and with the last one the rating ends. What every actor would meet, or what is wrong with
a request itself, ends it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spct import errors
from spct.cluster.actor import Failure
from spct.cluster.batch import DEATHS, FATAL, SAY_EVERY_S, TRIES, Seats, in_a_line, raise_failure
from spct.cluster.connecting import death_errors
from spct.errors import EngineError, InputError, RequestError, SpctError
from spct.meta import Case, MetaRM
from spct.run.rating import UNDER_WAY
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
    configuration: Mapping[str, Any]
    notes: tuple[str, ...]


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
        self._rated = counter("spct_ratings", description="Judgments that this actor was asked to rate.")
        node = ray.get_runtime_context().get_node_id()
        meta = self._meta
        return ReadyToRate(node, meta.model_id, tuple(meta.special_tokens), dict(meta.configuration), tuple(meta.notes))

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

    ``say`` is told how it goes; ``pause_s`` is waited after a first failure, and longer after others. Once every actor would
    fail alike, ``fatal`` is why.
    """

    def __init__(
        self,
        build: Callable[[], MetaRM],
        seats: Seats,
        say: Callable[[str], None] = lambda _: None,
        pause_s: float = 1.0,
    ) -> None:
        self.build, self.say, self.pause_s = build, say, pause_s
        self.id = uuid.uuid4().hex[:8]
        self.gone = death_errors()
        self._seats = [_Seat(self, number, seats) for number in range(seats.actors)]
        self._first: ReadyToRate | None = None
        self._telling: asyncio.Task[None] | None = None
        self.fatal: BaseException | None = None
        self.last = ""

    @property
    def model_id(self) -> str:
        assert self._first is not None
        return self._first.model_id

    @property
    def special_tokens(self) -> tuple[str, ...]:
        assert self._first is not None
        return self._first.special_tokens

    @property
    def configuration(self) -> Mapping[str, Any]:
        """That of the first actor."""
        assert self._first is not None
        return self._first.configuration

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the first actor, as far as it had them when it had started."""
        assert self._first is not None
        return self._first.notes

    async def start(self) -> None:
        """Have all actors started; returns when one can rate."""
        for seat in self._seats:
            seat.begin()
        self._telling = asyncio.create_task(self._tell())
        await self._open_seat()

    async def rate(self, cases: Sequence[Case]) -> list[Rating]:
        """One rating per case, in order, by one actor or by several in turn."""
        ratings: list[Rating] = []
        tried: list[_Seat] = []
        while len(tried) < TRIES:
            seat = await self._open_seat(tried)
            found = await seat.rate(cases[len(ratings) :])
            ratings += found
            if len(ratings) == len(cases):
                return ratings
            tried = [seat] if found else [*tried, seat]
            await asyncio.sleep(len(tried) * self.pause_s)
        left = len(cases) - len(ratings)
        raise EngineError(f"{left} judgments could not be rated in {TRIES} tries; the last error: {self.last}")

    async def close(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
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

    def note(self, what: str, why: str) -> None:
        """Keep, and tell, what has gone wrong."""
        self.last = why
        self.say(f"{what}: {why}")

    async def _open_seat(self, tried: Sequence[_Seat] = ()) -> _Seat:
        """The seat with least to do, rather one that was not ``tried``. Raises EngineError where none is left."""
        while True:
            if self.fatal is not None:
                raise self.fatal
            if open_seats := [seat for seat in self._seats if seat.is_open]:
                return min(open_seats, key=lambda seat: (seat in tried, seat.load))
            if all(seat.given_up for seat in self._seats):
                raise EngineError(f"all actors gave up; the last error: {self.last}")
            await asyncio.sleep(LOOK_EVERY_S)

    async def _tell(self) -> None:
        """Say now and then how many actors there are, as long as some are waited for."""
        while waited := [seat for seat in self._seats if seat.is_starting]:
            await asyncio.sleep(SAY_EVERY_S)
            self.say(f"{len(self._seats) - len(waited)} of {len(self._seats)} actors can rate")


class _NotHere(Exception):
    """The seat cannot rate this; another is to be asked."""


class _Seat:
    """One actor after another, each with the meta RM.

    ``load`` is how many judgments the seat has. After an actor's death it is closed to others until what was under way there,
    ``suspects`` chunks of it, has been rated apart.
    """

    def __init__(self, meta: ActorsMeta, number: int, seats: Seats) -> None:
        self._meta, self._number, self._seats = meta, number, seats
        self._actor: Any = None
        self._made = 0
        self._starting: asyncio.Task[None] | None = None
        self._node: str | None = None
        self._alone = asyncio.Lock()
        self._failures = self._deaths = 0
        self._killer: str | None = None
        self.load = self.suspects = 0

    @property
    def given_up(self) -> bool:
        return self._failures >= TRIES or self._deaths >= DEATHS

    @property
    def is_open(self) -> bool:
        """Whether it can rate at once, and beside others."""
        return self._actor is not None and not self.suspects and not self.given_up and self.load < UNDER_WAY

    @property
    def is_starting(self) -> bool:
        return self._actor is None and not self.given_up

    def begin(self) -> None:
        """Have the first actor, or the next one, started."""
        self._end(self._actor)
        self._actor = None
        self._starting = asyncio.create_task(self._start())
        self._starting.add_done_callback(self._started)

    async def rate(self, cases: Sequence[Case]) -> list[Rating]:
        """Ratings of the cases in order: of all of them, or of the first ones if another seat is to be asked about the rest."""
        found: list[Rating] = []
        self.load += len(cases)
        try:
            try:
                await self._ask(cases, found)
            except self._meta.gone:
                self.suspects += 1
                try:
                    async with self._alone:
                        await self._rate_apart(cases, GROUP, found)
                finally:
                    self.suspects -= 1
        except _NotHere:
            pass
        finally:
            self.load -= len(cases)
        return found

    async def _rate_apart(self, cases: Sequence[Case], size: int, found: list[Rating]) -> None:
        """Rate ``size`` at a time and nothing beside them, to find those over which actors die."""
        for begin in range(0, len(cases), size):
            part = cases[begin : begin + size]
            try:
                await self._ask(part, found)
            except self._meta.gone:
                if len(part) == 1:
                    why = f"actors died while they rated this judgment, the last one alone: {self._meta.last}"
                    found.append(Rating(None, why))
                else:
                    await self._rate_apart(part, 1, found)

    async def _ask(self, cases: Sequence[Case], found: list[Rating]) -> None:
        """Add the ratings to ``found``. Raises Ray's error where the actor dies, and has another one started."""
        while self._actor is None and not self.given_up:
            assert self._starting is not None
            await asyncio.shield(self._starting)
        if self._actor is None:
            raise _NotHere
        actor = self._actor
        try:
            ratings = await actor.rate.remote(cases)
        except self._meta.gone as error:
            if actor is self._actor:  # the first of what was under way there sees to it
                self._count_death(cases)
                self._meta.note("an actor died", in_a_line(error))
                self.begin()
            raise
        if isinstance(ratings, Failure):
            self._fail(ratings)
            raise _NotHere
        if actor is self._actor:
            self._failures = self._deaths = 0
        found += ratings

    def _count_death(self, cases: Sequence[Case]) -> None:
        """Count a death; of those over the judgments of one item, each of them alone, the first: they are the item's doing."""
        killer = cases[0].item.id if len(cases) == 1 else None
        if killer is None or killer != self._killer:
            self._deaths += 1
        self._killer = killer

    async def _start(self) -> None:
        """An actor that can rate, unless the seat is given up before."""
        while not self.given_up:
            self._made += 1
            name = f"spct-meta-{self._meta.id}-{self._number}-{self._made}"
            actor = self._seats.actor(MetaActor, name, self._node, self._meta.build)
            try:
                ready = await actor.start.remote()
                if not isinstance(ready, Failure):
                    self._node = ready.node
                    self._meta.welcome(ready)
                    self._actor = actor
                    return
                self._fail(ready)
            except self._meta.gone as error:
                self._failures += 1
                self._meta.note("an actor died before it could rate", in_a_line(error))
            finally:
                if self._actor is not actor:
                    self._end(actor)
            await asyncio.sleep(self._failures * self._meta.pause_s)

    def _started(self, starting: asyncio.Task[None]) -> None:
        """What keeps this actor from starting, other than its own failures and deaths, keeps every other."""
        if not starting.cancelled() and (error := starting.exception()) is not None:
            self._meta.fatal = error

    def _fail(self, failure: Failure) -> None:
        """Count a failure. Raises it where every actor would meet it, or where it is of these very judgments."""
        self._failures += 1
        try:
            if failure.kind in FATAL or issubclass(getattr(errors, failure.kind), RequestError):
                raise_failure(failure)
        except SpctError as error:
            self._meta.fatal = error
            raise
        self._meta.note(f"an actor failed: {failure.kind}", failure.message)

    def _end(self, actor: Any) -> None:
        """End an actor, which may have died, or never have lived."""
        ray = importlib.import_module("ray")
        if actor is not None and ray.is_initialized():  # otherwise Ray would start a cluster to end it in
            with contextlib.suppress(Exception):
                ray.kill(actor)

    async def close(self) -> None:
        """Free what the actor holds, and end it."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        actor, self._actor = self._actor, None
        if actor is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(actor.stop.remote(), 10)
        self._end(actor)
