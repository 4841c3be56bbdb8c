"""A run's judgments through a meta RM, after the fact: every valid judgment without a rating gets one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Self

from spct.errors import InputError
from spct.items.budget import within_budget
from spct.judges.first_steps import given_to, step_of
from spct.judges.settings import JudgeSettings
from spct.judges.template_choice import load_templates, template_for
from spct.meta import Case, MetaRM
from spct.meta.cases import make_cases
from spct.run.opening import add_session, rater_notes, rater_of
from spct.run.reader import RATING
from spct.run.store import RunStore
from spct.templates import Given, Template
from spct.types import Item, Judgment
from spct.voting.ratings import Place, Rating, place_of

SMALLEST_CHUNK, LARGEST_CHUNK = 16, 256
STORED_EVERY_S = 2.0
"""About how long a meta RM takes for a chunk, which is stored as a whole: chunks are as large as it is fast."""
GENERATIVE = (None, "grm", "llm-judge")
"""The kinds of judges whose judgments are texts with a score for every response, as a run's settings name them."""
UNDER_WAY = 2 * LARGEST_CHUNK
"""How many judgments a meta RM has at once, in several chunks: those that a server answers late do not hold up the rest."""


@dataclass(frozen=True, slots=True)
class RatingTotals:
    """``rated`` and ``problems`` are new; ``already`` were rated before. ``example`` is the first problem's text."""

    rated: int = 0
    problems: int = 0
    already: int = 0
    example: str | None = None


async def rate_run(
    store: RunStore,
    settings: JudgeSettings,
    meta: MetaRM,
    *,
    retry_problems: bool = False,
    on_chunk: Callable[[RatingTotals], None] | None = None,
    raters: int = 1,
) -> RatingTotals:
    """Rate what ``meta``, which must be started, has not rated yet, and store it; stopped, it goes on where it was.

    The run keeps when it was rated and by what, as a session of its own, and what ``meta`` noted.
    ``settings`` are the run's. ``retry_problems`` asks again about judgments that had no rating. ``raters`` says how many
    models there are behind ``meta``. Raises TemplateError if the run's template is not there any more, EngineError if the
    meta RM cannot go on, after what else was under way is stored, InputError for a run by a rubric or of a jury.
    """
    check_ratable(store, settings)
    # An imported run keeps none: what its judge was asked is not known, so the prompt of the settings stands for it.
    templates = store.templates() or load_templates(settings)
    async with _Chunks(store, meta, raters, on_chunk) as chunks:
        chunk: list[tuple[int, Case]] = []
        for position, item, missing, already in _missing(store, meta.model_id, retry_problems):
            chunks.already += already
            if not missing:
                continue
            template = template_for(item, settings, templates)
            item = within_budget(item, settings.trajectory_chars)
            given = given_in(store, settings, templates, template)
            cases = make_cases(item, missing, template, given, special_tokens=meta.special_tokens)
            chunk += [(position, case) for case in cases]
            if len(chunk) >= chunks.size:
                await chunks.add(chunk)
                chunk = []
        if chunk:
            await chunks.add(chunk)
    return chunks.totals


def check_ratable(store: RunStore, settings: JudgeSettings) -> None:
    """Raise InputError for a run whose judgments are not the text of a model that scored every response alone."""
    written = store.settings
    if settings.rubric is not None or settings.jury is not None or written.get("judge") not in GENERATIVE:
        what = (
            "by a rubric" if settings.rubric else "of a jury" if settings.jury else f"of the judge {written['judge']}"
        )
        raise InputError(
            f"{store.directory} is a run {what}; a meta RM rates judgments in which a model scored every response alone"
        )


class _Chunks:
    """Chunks of judgments that are rated side by side; each is stored as soon as it is rated.

    Left by an error, it waits for what is under way, so that this is stored too; cancelled, it does not.
    """

    def __init__(
        self, store: RunStore, meta: MetaRM, raters: int, on_chunk: Callable[[RatingTotals], None] | None
    ) -> None:
        self._store, self._meta, self._raters = store, meta, raters
        self._on_chunk = on_chunk
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._begun = monotonic()
        self._rated = self._problems = self.already = 0
        self._example: str | None = None
        self._told = False

    @property
    def totals(self) -> RatingTotals:
        return RatingTotals(self._rated, self._problems, self.already, self._example)

    @property
    def size(self) -> int:
        """How many judgments the next chunk is to have."""
        return chunk_size(self._rated + self._problems, monotonic() - self._begun, self._raters)

    async def add(self, chunk: Sequence[tuple[int, Case]]) -> None:
        """Have a chunk rated, once there is room. Raises what the meta RM raised for this one or one before."""
        if not self._told:  # a session that finds nothing to rate is none
            self._told = True
            add_session(self._store, {RATING: True, "meta": rater_of(self._meta)})
        while self._tasks and sum(self._tasks.values()) + len(chunk) > UNDER_WAY * self._raters:
            await self._next()
        self._tasks[asyncio.create_task(self._rate(chunk))] = len(chunk)
        await asyncio.sleep(0)  # it begins now, not when there is no room for more

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            while self._tasks and error is None:
                await self._next()
        except BaseException as late:
            error = late
            raise
        finally:
            if error is not None and not isinstance(error, Exception):
                for task in self._tasks:
                    task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _next(self) -> None:
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            del self._tasks[task]
        for task in done:
            task.result()

    async def _rate(self, chunk: Sequence[tuple[int, Case]]) -> None:
        ratings = await self._meta.rate([case for _, case in chunk])
        _store(self._store, self._meta.model_id, chunk, ratings)
        if notes := rater_notes(self._meta):
            self._store.keep_notes(notes)
        problems = [rating.problem for rating in ratings if rating.problem is not None]
        self._rated += len(ratings) - len(problems)
        self._problems += len(problems)
        self._example = self._example or (problems[0] if problems else None)
        if self._on_chunk is not None:
            self._on_chunk(self.totals)


def chunk_size(rated: int, seconds: float, raters: int = 1) -> int:
    """What one of the raters rates in ``STORED_EVERY_S``, within bounds, after they all rated ``rated`` in ``seconds``."""
    fits = int(STORED_EVERY_S * rated / max(seconds, 1e-9) / raters)
    return min(max(fits, SMALLEST_CHUNK), LARGEST_CHUNK)


def _missing(store: RunStore, meta: str, retry_problems: bool) -> Iterator[tuple[int, Item, list[Judgment], int]]:
    """Position, item, its valid judgments to be rated, and how many are rated already."""
    for position, item in store.items():
        known = {
            place
            for place, rating in store.ratings(position, meta).items()
            if not (retry_problems and rating.problem is not None)
        }
        valid = [judgment for judgment in store.history(position) if judgment.problem is None]
        missing = [judgment for judgment in valid if place_of(judgment) not in known]
        yield position, item, missing, len(valid) - len(missing)


def _store(store: RunStore, meta: str, chunk: Sequence[tuple[int, Case]], ratings: Sequence[Rating]) -> None:
    by_position: dict[int, dict[Place, Rating]] = {}
    for (position, case), rating in zip(chunk, ratings, strict=True):
        by_position.setdefault(position, {})[place_of(case.judgment)] = rating
    for position, of_item in by_position.items():
        store.record_ratings(position, meta, of_item)
    store.flush()


def given_in(
    store: RunStore, settings: JudgeSettings, templates: Mapping[str, Template], template: Template
) -> Callable[[Item, Sequence[int]], Given]:
    """What the run's prompts were given besides the item, by the item and the order shown.

    The function raises TemplateError for a text that the run does not keep.
    """
    step = step_of(template, settings, templates)
    return lambda item, order: given_to(item, order, step, settings, store.first_texts)
