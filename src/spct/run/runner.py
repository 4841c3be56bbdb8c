"""Many items through one judge: streamed in, judged side by side, handed out in input order.

Memory is bounded by the window, not by the input: at most ``in_flight`` items are being judged and a few times as many
are waiting for an earlier one. Failure rule: an item's own failure is in its verdict; if ``GIVE_UP_AFTER`` items in a row
fail by their requests, the engine is taken to be broken and the run ends. Whatever was sampled is in the store.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass

from spct.errors import EngineError, TemplateError
from spct.judges.grm import no_verdict
from spct.judges.judge import Judge
from spct.run.store import RunStore
from spct.types import Item, ItemError, Judgment, Usage
from spct.voting.ratings import Place, Ratings, place_of
from spct.voting.verdict import Verdict

GIVE_UP_AFTER = 10
WINDOW = 4

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
) -> AsyncGenerator[Outcome, None]:
    """Yield one Outcome per item, in input order, each only after its samples are safely stored.

    Raises EngineError when the engine cannot go on, RunError when the store cannot; what is in flight is cancelled.
    """
    run = _Run(judge, store, on_request, asyncio.Semaphore(in_flight))
    tasks: deque[asyncio.Task[_Done]] = deque()
    source = enumerate(items)
    try:
        exhausted = False
        while tasks or not exhausted:
            while not exhausted and len(tasks) < WINDOW * in_flight and run.failure is None:
                await run.slots.acquire()
                if (following := next(source, None)) is None:
                    run.slots.release()
                    exhausted = True
                else:
                    tasks.append(asyncio.create_task(run.one(*following)))
                while tasks and tasks[0].done() and tasks[0].result().is_stored():
                    yield tasks.popleft().result().outcome
            if run.failure is not None:
                raise run.failure
            if tasks:
                done = await tasks.popleft()
                await done.stored()
                yield done.outcome
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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

    async def stored(self) -> None:
        """Return once the commit is made. Raises RunError if it fails."""
        if self.commit is not None:
            await asyncio.shield(self.commit)


class _Run:
    """What the items of one run share."""

    def __init__(
        self, judge: Judge, store: RunStore | None, on_request: OnRequest | None, slots: asyncio.Semaphore
    ) -> None:
        self.judge = judge
        self.store = store
        self.on_request = on_request
        self.slots = slots
        self.failure: Exception | None = None
        self._failed_in_a_row = 0

    async def one(self, position: int, item: Item) -> _Done:
        try:
            outcome = await self._judged(position, item)
            commit = None
            if self.store is not None:
                self.store.put_verdict(position, outcome.verdict.as_row())
                commit = self.store.next_commit
            self._watch(outcome.verdict)
            return _Done(outcome, commit)
        except Exception as error:
            self.failure = self.failure or error
            raise
        finally:
            self.slots.release()

    async def _judged(self, position: int, item: Item) -> Outcome:
        store, meta = self.store, self.judge.meta
        history: list[Judgment] = []
        if store is not None and not store.add_item(position, item):
            history = store.history(position)

        before = {place_of(judgment) for judgment in history}
        sampled = 0

        def record(judgments: Sequence[Judgment], usage: Usage) -> None:
            nonlocal sampled
            sampled += len(judgments)
            if store is not None:
                store.record(position, judgments, usage)
                if before and (replaced := [place for j in judgments if (place := place_of(j)) in before]):
                    store.forget_ratings(position, replaced)
            if self.on_request is not None:
                self.on_request(judgments, usage)

        def record_ratings(ratings: Ratings) -> None:
            if store is not None and meta is not None:
                store.record_ratings(position, meta.model_id, ratings)

        rated = store.ratings(position, meta.model_id) if store is not None and meta is not None and history else {}
        try:
            verdict = await self.judge.judge(item, history, record, rated=rated, record_ratings=record_ratings)
        except TemplateError as error:
            verdict = no_verdict(item, self.judge.settings, ItemError("TemplateError", str(error)), history)
        if store is not None and len(history) + sampled > len(verdict.judgments):
            store.forget(position, _outdated(store.history(position), verdict))
        return Outcome(position, item, verdict, len(history))

    def _watch(self, verdict: Verdict) -> None:
        """A server that answers every request with garbage fails item after item: stop before the whole input is spent."""
        requests_failed = verdict.error is not None and verdict.error.type in ("ReplyError", "RejectedError")
        self._failed_in_a_row = self._failed_in_a_row + 1 if requests_failed else 0
        if self._failed_in_a_row >= GIVE_UP_AFTER and verdict.error is not None:
            raise EngineError(
                f"the last {self._failed_in_a_row} items all failed; the last error: {verdict.error.message}"
            )


def _outdated(stored: Sequence[Judgment], verdict: Verdict) -> list[Place]:
    """Places of judgments under another plan of blocks than the verdict's, which a context of another size made.

    Judgments that the verdict has not come to (a smaller k) are not outdated.
    """
    voted = {place_of(judgment) for judgment in verdict.judgments}
    indices = {judgment.index for judgment in verdict.judgments}
    return [place for j in stored if j.index in indices and (place := place_of(j)) not in voted]
