"""A judge for many callers at once: bounded, sharing equal work, never answering with anything but a verdict.

    async with RewardService(grm_judges(engine), settings) as service:
        verdict = await service.judge(item, deadline_s=30)

What a caller can count on:
- Equal items under equal options are judged once while that is under way, and for a while after (``cache``). Equal means
  the text: an item's id only names the answer, so it does not break ties here as it does in ``spct judge``.
- More requests than there is room for: BusyError at once, with the time when to come again. A batch has room as a whole
  or not at all. Where callers have names, room and turns are shared fairly among them (``shares``, ``turns``).
- A caller that is cancelled, or whose deadline passes (DeadlineError), gives up its samples, unless another caller waits
  for the same verdict. Where the judge has a verdict that stands already (an escalation whose second judge is too slow), a
  deadline is answered with that; it is not cached.
- The engine's failures are raised as what they are. A verdict without a winner is answered as such: an honest answer of
  the judge, of which ``rewards_of`` makes no number.
- ``drain`` accepts nothing new and returns when all that was accepted is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from spct import errors
from spct.errors import BusyError, DrainingError, EngineError, InputError, SpctError
from spct.items import fingerprint
from spct.judges.settings import JudgeSettings
from spct.run.asks import Asked
from spct.service.cache import VerdictCache
from spct.service.counters import Counters
from spct.service.judges import Judges, MakeJudge, ServedJudge
from spct.service.options import NO_OPTIONS, JudgeOptions
from spct.service.recording import Recording, named
from spct.service.run_figures import RunsSeen
from spct.service.shared_work import SharedWork, Timing
from spct.service.shares import NO_WEIGHTS, Shares
from spct.types import Item
from spct.voting.verdict import Verdict

if TYPE_CHECKING:
    from spct.service.probing import Prober

Origin = Literal["sampled", "shared", "cached"]
LONGEST_RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict under the caller's id, and whether it was sampled for this caller."""

    verdict: Verdict
    source: Origin


class Answers:
    """The answers to several items as they come: place among the items, and the answer or what went wrong with it.

    Use it as ``async with ... as answers: async for place, answer in answers``; leaving it gives up what is not there.
    """

    def __init__(self, tasks: Sequence[asyncio.Task[tuple[int, Answer | SpctError]]]) -> None:
        self._tasks = tasks

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()

    async def __aiter__(self) -> AsyncIterator[tuple[int, Answer | SpctError]]:
        for coming in asyncio.as_completed(self._tasks):
            yield await coming


class RewardService:
    """``make_judge`` makes the judge of any settings, ``settings`` are those of a request without options.

    ``concurrency`` items are judged side by side (the engine's own number if None), ``queue`` callers more may wait.
    ``deadline_s`` is the longest a caller may wait. ``callers`` is how many callers by name there are to share room and turns
    with each other, by their ``weights`` (``shares``). ``on_judged`` is told how long each verdict took. ``prober`` sees every
    verdict that is made.
    """

    def __init__(
        self,
        make_judge: MakeJudge,
        settings: JudgeSettings | None = None,
        *,
        concurrency: int | None = None,
        queue: int = 1024,
        deadline_s: float = 600.0,
        cache: VerdictCache | None = None,
        recording: Recording | None = None,
        callers: int = 1,
        weights: Mapping[str, float] = NO_WEIGHTS,
        on_judged: Callable[[Timing], None] | None = None,
        prober: Prober | None = None,
    ) -> None:
        if (concurrency is not None and concurrency < 1) or queue < 0 or not deadline_s > 0:
            raise InputError(
                f"service: got concurrency {concurrency}, queue {queue}, deadline_s {deadline_s}; expected 1 or more, 0 or "
                "more, more than 0"
            )
        self.settings = settings or JudgeSettings()
        self.judges = Judges(make_judge, self.settings, recording)
        self.cache = VerdictCache() if cache is None else cache
        self.counters = Counters(runs=RunsSeen(callers))
        self.deadline_s = deadline_s
        self._recording = recording
        self._queue = queue
        self._concurrency = concurrency
        self._work = SharedWork(self.concurrency, weights, self.cache, self.counters, on_judged, prober)
        self._room = Shares(self.capacity, callers, weights)
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def concurrency(self) -> int:
        """Items judged side by side."""
        return self._concurrency or self.judges.first.engine.capabilities.concurrency

    @property
    def capacity(self) -> int:
        """Callers that there is room for, those being served included."""
        return self.concurrency + self._queue

    @property
    def callers(self) -> int:
        """Callers being served or waiting; each item of a batch counts as one."""
        return self._room.taken

    @property
    def waiting(self) -> int:
        """Verdicts whose turn has not come."""
        return self._work.waiting

    @property
    def running(self) -> int:
        """Verdicts being made."""
        return self._work.running

    @property
    def draining(self) -> bool:
        """Whether nothing new is accepted."""
        return self._work.ending

    @property
    def model_id(self) -> str:
        return self.judges.first.engine.model_id

    async def start(self) -> None:
        """Start the engine and the meta RM; idempotent. Raises EngineError or WeightsError."""
        judge = self.judges.first
        await judge.engine.start()
        if judge.meta is not None:
            await judge.meta.start()
        self.judges.main  # noqa: B018 - opens its run, now that the engine says what is in effect
        if not self._work:  # an engine may know its number only now
            self._work.resize(self.concurrency)
            self._room.resize(self.capacity)

    async def drain(self, timeout_s: float | None = None) -> bool:
        """Accept nothing new and wait until all that was accepted is answered; False if that took too long."""
        self._work.ending = True
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Cancel what is left, whose callers get DrainingError, and free the engine and the runs."""
        await self._work.close()
        judge = self.judges.first
        await judge.engine.close()
        if judge.meta is not None:
            await judge.meta.close()
        if self._recording is not None:
            self._recording.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def judge(
        self, item: Item, options: JudgeOptions = NO_OPTIONS, *, deadline_s: float | None = None
    ) -> Verdict:
        """The verdict on ``item``, with its id; one without a ranking has an ``error`` that says why.

        Raises InputError or TemplateError for what cannot be judged, BusyError, DeadlineError, DrainingError, EngineError.
        """
        return (await self.ask(item, options, deadline_s=deadline_s)).verdict

    async def ask(
        self,
        item: Item,
        options: JudgeOptions = NO_OPTIONS,
        *,
        deadline_s: float | None = None,
        accepted: bool = False,
        caller: str = "",
        asked: Asked | None = None,
    ) -> Answer:
        """Like ``judge``, with the answer's source. What is ``accepted`` already is not refused for want of room.

        ``asked`` is what the caller told of the request: it is recorded, and counted by its run.
        """
        served, key = self._look_up(item, options, caller)
        answer = self._cached(key, item)
        if answer is None:
            if not accepted:
                self.admit(1, caller)
            self._enter(1, caller)
            try:
                answer = await self._answer(key, served, item, deadline_s, caller)
            finally:
                self._leave(caller)
        self._told(asked, served, key, item, answer, caller)
        return answer

    def ask_each(
        self,
        items: Sequence[Item],
        options: JudgeOptions = NO_OPTIONS,
        *,
        deadline_s: float | None = None,
        caller: str = "",
        asked: Sequence[Asked | None] | None = None,
    ) -> Answers:
        """The answers to several items, which are accepted together or, by BusyError, not at all; ``asked`` as in ``ask``."""
        self.admit(len(items), caller)
        self._enter(len(items), caller)
        told = asked or [None] * len(items)
        tasks = [
            asyncio.create_task(self._place(i, item, options, deadline_s, caller, told[i]))
            for i, item in enumerate(items)
        ]
        for task in tasks:
            task.add_done_callback(lambda _: self._leave(caller))
        return Answers(tasks)

    def admit(self, count: int, caller: str = "") -> None:
        """Raise BusyError if there is no room for ``count`` items more of a caller, DrainingError if for none at all."""
        if self.draining:
            self.counters.errors["DrainingError"] += 1
            raise DrainingError("the service is stopping and accepts nothing new; ask again when it is back", 2.0)
        if not self._room.has_room(caller, count):
            self.counters.errors["BusyError"] += 1
            what = "requests" if count == 1 else f"requests, and {count} more were asked for at once"
            raise BusyError(
                f"the queue is full: {self.callers} of {self.capacity} {what}; ask again later", self._retry_after_s()
            )

    async def _place(
        self,
        place: int,
        item: Item,
        options: JudgeOptions,
        deadline_s: float | None,
        caller: str,
        asked: Asked | None,
    ) -> tuple[int, Answer | SpctError]:
        try:
            served, key = self._look_up(item, options, caller)
            answer = self._cached(key, item) or await self._answer(key, served, item, deadline_s, caller)
        except SpctError as error:
            return place, error
        self._told(asked, served, key, item, answer, caller)
        return place, answer

    def _told(
        self, asked: Asked | None, served: ServedJudge, key: str, item: Item, answer: Answer, caller: str
    ) -> None:
        """Count and record the answer to a request of a training run."""
        if asked is None:
            return
        self.counters.runs.of(caller, asked.run, served.scale).saw(asked, item, answer.verdict)
        if served.recorder is not None:
            served.recorder.asked(recorded_id(key), asked)

    def _look_up(self, item: Item, options: JudgeOptions, caller: str) -> tuple[ServedJudge, str]:
        """The judge for these options, and what its verdict on the item is known by."""
        served = self.judges.of(options, caller)
        served.judge.check(item)
        return served, f"{served.digest}:{fingerprint(item)}"

    def _cached(self, key: str, item: Item) -> Answer | None:
        verdict = None if self.draining else self.cache.get(key)
        if verdict is None:
            return None
        self.counters.answered["cached"] += 1
        return Answer(_under(item.id, verdict), "cached")

    async def _answer(self, key: str, served: ServedJudge, item: Item, deadline_s: float | None, caller: str) -> Answer:
        """Have the item judged, or join those who wait for the same verdict."""
        source: Origin = "shared" if key in self._work else "sampled"
        limit_s = self.deadline_s if deadline_s is None else min(deadline_s, self.deadline_s)
        verdict = await self._work.verdict(key, served, named(item, recorded_id(key)), limit_s, caller)
        _raise_failure(verdict)
        self.counters.answered[source] += 1
        return Answer(_under(item.id, verdict), source)

    def _enter(self, count: int, caller: str) -> None:
        self._room.take(caller, count)
        self._idle.clear()

    def _leave(self, caller: str) -> None:
        self._room.give(caller)
        if self.callers == 0:
            self._idle.set()

    def _retry_after_s(self) -> float:
        """When about a quarter of the queue will have gone, at the pace of the last verdicts."""
        turns = max(1.0, self.callers / (4 * self.concurrency))
        return min(LONGEST_RETRY_S, max(1.0, turns * self._work.judging_s))


def recorded_id(key: str) -> str:
    """The id that an item is judged and recorded by: a mark of its texts."""
    return key.partition(":")[2]


def _under(id: str, verdict: Verdict) -> Verdict:
    """The verdict under the caller's id, if it gave one."""
    return replace(verdict, id=id) if id else verdict


def _raise_failure(verdict: Verdict) -> None:
    """An engine's failure that a judge wrote into the verdict, as the error that it was."""
    kind = None if verdict.error is None else getattr(errors, verdict.error.type, None)
    if verdict.error is not None and isinstance(kind, type) and issubclass(kind, EngineError):
        raise kind(verdict.error.message)
