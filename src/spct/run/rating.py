"""A run's judgments through a meta RM, after the fact: every valid judgment without a rating gets one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from spct.errors import InputError
from spct.items.budget import within_budget
from spct.judges.first_steps import given_to, step_of
from spct.judges.settings import JudgeSettings
from spct.judges.template_choice import load_templates, template_for
from spct.meta import Case, MetaRM
from spct.meta.cases import make_cases
from spct.run.store import RunStore
from spct.templates import Given, Template
from spct.types import Item, Judgment
from spct.voting.ratings import Place, Rating, place_of

FIRST_CHUNK = 16
LARGEST_CHUNK = 1024
STORED_EVERY_S = 2.0
"""About how long the meta RM rates before what it said is stored: its chunks are made as large as it is fast."""


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
) -> RatingTotals:
    """Rate what ``meta``, which must be started, has not rated yet, and store it; stopped, it goes on where it was.

    ``settings`` are the run's. ``retry_problems`` asks again about judgments that had no rating. Raises TemplateError
    if the run's template is not there any more, EngineError if the meta RM cannot go on, InputError for a run by a rubric or
    of a jury.
    """
    if settings.rubric is not None or settings.jury is not None:
        what = "by a rubric" if settings.rubric is not None else "of a jury"
        raise InputError(
            f"{store.directory} is a run {what}; a meta RM rates judgments that score every response alone"
        )
    # An imported run keeps none: what its judge was asked is not known, so the prompt of the settings stands for it.
    templates = store.templates() or load_templates(settings)
    totals = RatingTotals()
    chunk: list[tuple[int, Case]] = []
    size = FIRST_CHUNK

    async def flush() -> None:
        nonlocal totals, size
        begun = monotonic()
        ratings = await meta.rate([case for _, case in chunk])
        size = next_size(len(chunk), monotonic() - begun)
        _store(store, meta.model_id, chunk, ratings)
        problems = [rating.problem for rating in ratings if rating.problem is not None]
        totals = RatingTotals(
            totals.rated + len(ratings) - len(problems),
            totals.problems + len(problems),
            totals.already,
            totals.example or (problems[0] if problems else None),
        )
        chunk.clear()
        if on_chunk is not None:
            on_chunk(totals)

    for position, item, missing, already in _missing(store, meta.model_id, retry_problems):
        totals = RatingTotals(totals.rated, totals.problems, totals.already + already, totals.example)
        if not missing:
            continue
        template = template_for(item, settings, templates)
        item = within_budget(item, settings.trajectory_chars)
        given = given_in(store, settings, templates, template)
        cases = make_cases(item, missing, template, given, special_tokens=meta.special_tokens)
        chunk += [(position, case) for case in cases]
        if len(chunk) >= size:
            await flush()
    if chunk:
        await flush()
    return totals


def next_size(size: int, seconds: float) -> int:
    """How many judgments to hand over next, after ``size`` of them took ``seconds``: at most twice as many."""
    most = min(2 * size, LARGEST_CHUNK)
    return most if seconds <= 0 else max(1, min(most, int(size * STORED_EVERY_S / seconds)))


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
