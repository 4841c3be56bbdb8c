"""Many items through one judge: streamed in, judged side by side, handed out in input order.

Memory is bounded by the window, not by the input: at most ``in_flight`` items are being judged and a few times as many
are waiting for an earlier one. Failure rule: an item's own failure is in its verdict; if ``GIVE_UP_AFTER`` items in a row
fail by a fault of the server, or are refused before any was taken, the run ends: it would meet every item. What a server
refuses later, or a content filter at any time, is the item's. Whatever was sampled is in the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from time import monotonic

from spct.errors import EngineError, RunError, TemplateError
from spct.judges.judge import Judge
from spct.judges.memory import Memory, Prompt
from spct.judges.verdicts import no_verdict
from spct.logs import logger
from spct.run.pilot import Pilot
from spct.run.store import RunStore
from spct.types import Item, ItemError, Judgment, Usage
from spct.voting.ratings import Place, Ratings, place_of
from spct.voting.verdict import Verdict

_log = logger(__name__)

GIVE_UP_AFTER = 10
WINDOW = 4
SAVE_SECONDS_S = 1.0

OnRequest = Callable[[Sequence[Judgment], Usage], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """An item with its place in the input and its verdict. ``replayed`` judgments came from the store."""

    position: int
    item: Item
    verdict: Verdict
    replayed: int = 0


async def judge_items(
    judge: Judge,
    items: Iterable[Item],
    *,
    in_flight: int,
    store: RunStore | None = None,
    on_request: OnRequest | None = None,
    positions: Iterable[int] | None = None,
) -> AsyncGenerator[Outcome, None]:
    """Yield one Outcome per item, in input order, each only after its samples are safely stored.

    ``positions`` are the items' places in the run, where they are not all of it from its beginning.
    Raises EngineError when the engine cannot go on, RunError when the store cannot; what is in flight is cancelled.
    """
    run = _Run(judge, store, on_request)
    clock = None if store is None else _Clock(store)
    tasks: deque[asyncio.Task[_Done]] = deque()
    source = zip(items, count() if positions is None else positions, strict=False)
    _log.info("judging by %s, up to %d items side by side", judge.engine.model_id, in_flight)
    try:
        exhausted = False
        while tasks or not exhausted:
            run.moved.clear()
            while not exhausted and run.judging < in_flight and len(tasks) < WINDOW * in_flight and not run.failure:
                if (following := next(source, None)) is None:
                    exhausted = True
                else:
                    run.judging += 1
                    item, position = following
                    tasks.append(asyncio.create_task(run.one(position, item)))
            while tasks and tasks[0].done() and tasks[0].result().is_stored():
                if clock is not None:
                    clock.tick()
                yield tasks.popleft().result().outcome
            if run.failure is not None:
                raise run.failure
            if tasks and not run.moved.is_set():
                await run.moved.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if clock is not None:
            clock.tick(last=True)


class _Clock:
    """Keeps in the store how long judging has taken, over all sessions; a killed one loses about a second."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._before = float(store.meta("seconds") or 0)
        self._started = self._saved = monotonic()

    def tick(self, *, last: bool = False) -> None:
        now = monotonic()
        if last or now - self._saved >= SAVE_SECONDS_S:
            self._saved = now
            with contextlib.suppress(RunError):  # the run's own writes say what is wrong
                self._store.set_meta("seconds", f"{self._before + now - self._started:.3f}")


@dataclass(frozen=True, slots=True)
class _Done:
    """An item that is judged, and the commit that will have its samples and verdict on disk."""

    outcome: Outcome
    commit: asyncio.Future[None] | None

    def is_stored(self) -> bool:
        """Whether the commit is made. Raises RunError if it failed."""
        if self.commit is None:
            return True
        return self.commit.done() and self.commit.result() is None


class _Run:
    """What the items of one run share. ``judging`` items are in flight; ``moved`` is set when one is done or stored."""

    def __init__(self, judge: Judge, store: RunStore | None, on_request: OnRequest | None) -> None:
        self.judge = judge
        self.store = store
        self.on_request = on_request
        self.judging = 0
        self.moved = asyncio.Event()
        self.pilot = Pilot(judge, store)
        self.failure: Exception | None = None
        self._failed_in_a_row = 0
        self._taken = False

    async def one(self, position: int, item: Item) -> _Done:
        try:
            outcome = await self._judged(position, item)
            commit = None
            if self.store is not None:
                self.store.put_verdict(position, outcome.verdict.as_row())
                if (commit := self.store.next_commit) is not None:
                    commit.add_done_callback(lambda _: self.moved.set())
            self._watch(outcome.verdict)
            self._log(outcome)
            return _Done(outcome, commit)
        except Exception as error:
            self.failure = self.failure or error
            raise
        finally:
            self.judging -= 1
            self.moved.set()

    async def _judged(self, position: int, item: Item) -> Outcome:
        memory = _ItemMemory(self, position, item)
        try:
            verdict = await self.judge.judge(item, memory)
        except TemplateError as error:
            failure = ItemError("TemplateError", str(error))
            verdict = no_verdict(item, self.judge.settings, failure, memory.history)
        memory.tidy(verdict)
        if memory.pilot:
            self.pilot.done(position, verdict)
        return Outcome(position, item, verdict, len(memory.history))

    def _log(self, outcome: Outcome) -> None:
        verdict = outcome.verdict
        if verdict.error is not None:  # its message may quote the item
            _log.info("item %d has no verdict: %s", outcome.position, verdict.error.type)
        elif _log.isEnabledFor(logging.DEBUG):
            _log.debug("item %d has a verdict from %d judgments", outcome.position, len(verdict.judgments))

    def _watch(self, verdict: Verdict) -> None:
        """A server that answers every request with garbage fails item after item: stop before the whole input is spent."""
        failure = "" if verdict.error is None else verdict.error.type
        refused = failure == "RejectedError" and not self._taken
        self._taken = self._taken or failure not in ("ReplyError", "RejectedError", "ContentFilterError")
        self._failed_in_a_row = self._failed_in_a_row + 1 if failure == "ReplyError" or refused else 0
        if self._failed_in_a_row >= GIVE_UP_AFTER and verdict.error is not None:
            raise EngineError(
                f"the last {self._failed_in_a_row} items all failed; the last error: {verdict.error.message}"
            )


class _ItemMemory(Memory):
    """What the store has of one item, and the way of all that is new into it; without a store it forgets."""

    def __init__(self, run: _Run, position: int, item: Item) -> None:
        self._run = run
        self._position = position
        self._sampled = 0
        self.pilot = run.pilot.has(position)
        store, meta = run.store, run.judge.meta
        if store is None:
            return
        self.first_texts = store.first_texts
        if not store.add_item(position, item):
            self.history = store.history(position)
            self.ratings = {} if meta is None else store.ratings(position, meta.model_id)
        self._before = {place_of(judgment) for judgment in self.history}

    async def noise(self) -> float | None:
        return await self._run.pilot.noise()

    def record(self, judgments: Sequence[Judgment], usage: Usage, prompt: Prompt = ()) -> None:
        self._sampled += len(judgments)
        if (store := self._run.store) is not None:
            store.record(self._position, judgments, usage, prompt)
            store.forget_ratings(self._position, [place for j in judgments if (place := place_of(j)) in self._before])
        if self._run.on_request is not None:
            self._run.on_request(judgments, usage)

    def record_ratings(self, ratings: Ratings) -> None:
        store, meta = self._run.store, self._run.judge.meta
        if store is not None and meta is not None:
            store.record_ratings(self._position, meta.model_id, ratings)

    def tidy(self, verdict: Verdict) -> None:
        """Drop judgments under another plan of blocks than the verdict's, which a context of another size made."""
        store = self._run.store
        if store is not None and len(self.history) + self._sampled > len(verdict.judgments):
            store.forget(self._position, _outdated(store.history(self._position), verdict))


def _outdated(stored: Sequence[Judgment], verdict: Verdict) -> list[Place]:
    """Places of judgments under another plan of blocks than the verdict's, which a context of another size made.

    Judgments that the verdict has not come to (a smaller k) are not outdated.
    """
    voted = {place_of(judgment) for judgment in verdict.judgments}
    indices = {judgment.index for judgment in verdict.judgments}
    return [place for j in stored if j.index in indices and (place := place_of(j)) not in voted]
