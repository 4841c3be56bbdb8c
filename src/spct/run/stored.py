"""A run directory read back: every item the run has begun, with its verdict or with what the vote would say so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spct.errors import RunError, TemplateError
from spct.items.copies import as_shown
from spct.items.names import letter
from spct.judges.first_steps import step_of
from spct.judges.sampling import SamplingSettings
from spct.judges.settings import JudgeSettings, judge_settings
from spct.judges.template_choice import noise_in, scale_of, template_for
from spct.judges.verdicts import verdict_of
from spct.rubrics import Rubric
from spct.run.damage import as_damage
from spct.run.store import RunStore
from spct.templates import Template
from spct.types import Item, ItemError, Judgment
from spct.voting.by_criterion import criteria_of
from spct.voting.by_juror import jury_table
from spct.voting.guided import best_rated, index_ratings
from spct.voting.jury import BLOCKS, Jury, errors_in
from spct.voting.ratings import Ratings
from spct.voting.rows import samples_by_block, scored_N
from spct.voting.verdict import Verdict
from spct.voting.vote import count_duplicates

SETTINGS = tuple(
    name for kind in (JudgeSettings, SamplingSettings) for name in kind.__dataclass_fields__ if name != "sampling"
)


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item of a run. ``finished`` is False while no verdict of it is stored: this one is over what there is.

    ``ratings`` are those of the run's own meta RM, by the index of the judgment; None if the run has none.
    """

    position: int
    item: Item
    verdict: Verdict
    finished: bool
    ratings: Mapping[int, float] | None = None


@dataclass(frozen=True, slots=True)
class FirstText:
    """What the first step by the template ``step`` wrote; ``order`` as in a judgment, None where it saw no responses."""

    step: str
    order: tuple[int, ...] | None
    text: str

    @property
    def title(self) -> str:
        return f"first step {self.step}" + (f", shown {', '.join(map(letter, self.order))}" if self.order else "")


def stored_settings(store: RunStore) -> tuple[dict[str, Any], JudgeSettings]:
    """The run's settings as they were written down, and as settings. Raises RunError where they are not readable."""
    written = store.settings
    try:
        given = {name: written[name] for name in SETTINGS if name in written}
        given["grammar"] = bool(given.get("grammar"))
        given["rubric"], given["jury"] = written_rubric(written), written_jury(written)
        return written, judge_settings(**given)
    except (ValueError, TypeError, LookupError) as error:
        raise RunError(
            f"{store.directory}: its settings cannot be read ({error}); was it made by another version?"
        ) from error


def written_rubric(written: Mapping[str, Any]) -> Rubric | None:
    """The rubric in a run's settings, None without one."""
    row = written.get("rubric")
    return None if row is None else Rubric.of_row(row)


def written_jury(written: Mapping[str, Any]) -> Jury | None:
    """The jury in a run's settings, None without one."""
    row = written.get("jury")
    return None if row is None else Jury.of_row(row)


def judge_text(written: Mapping[str, Any]) -> str:
    """What judged a run, by its settings as they were written down, as people read it."""
    judge, recorded = written.get("judge"), written.get("imported")
    if recorded is None:
        return str(judge or "grm")
    return f"imported ({recorded})" if judge is None else f"{judge}, imported ({recorded})"


def stored_scale(store: RunStore, settings: JudgeSettings) -> tuple[float, float] | None:
    """The scale of the run's verdicts, None for judges that state none."""
    return scale_of(settings, store.templates())


def stored_items(store: RunStore, settings: JudgeSettings, meta: str | None = None) -> Iterator[StoredItem]:
    """All items in input order, those that are being judged right now included; ``meta`` as in ``stored_item``."""
    for position, item, row in store.items_and_verdicts():
        yield stored_item(store, settings, position, item, row, meta)


def stored_item(
    store: RunStore,
    settings: JudgeSettings,
    position: int,
    item: Item,
    row: Mapping[str, Any] | None,
    meta: str | None = None,
) -> StoredItem:
    """One item with its judgments; ``row`` is its verdict as stored, None if it has none yet.

    ``meta`` is the model id of the meta RM that the run was voted by, as its settings name it.

    Raises RunError where what is stored is not what this version stores.
    """
    with as_damage(f"{store.directory}: item {position}"):
        judgments = store.history(position)
        ratings = None if meta is None else store.ratings(position, meta)
        if row is None:
            verdict = _so_far(store, settings, position, item, judgments, ratings)
        else:
            verdict = _verdict(store, settings, position, item, judgments, row)
            verdict = verdict if ratings is None else _guided(verdict, settings, ratings)
        rated = None if ratings is None else index_ratings(judgments, ratings)
        return StoredItem(position, item, verdict, row is not None, rated)


def template_of(
    store: RunStore, written: Mapping[str, Any], settings: JudgeSettings, item: Item
) -> Callable[[int], Template | None]:
    """By the block of a judgment of the item: the template that splits its completion for display.

    None where it was judged by none. Of a jury each juror has its own.
    """
    templates = store.templates()
    if settings.jury is None:
        only = _template_in(templates, written, settings, item)
        return lambda block: only
    found = {}
    for juror in settings.jury.jurors:
        own = written.get("jurors", {}).get(juror.name, {})
        asked = {name: own[name] for name in ("template", "principles") if name in own}
        begin = f"{juror.name}/"
        named = {name.removeprefix(begin): one for name, one in templates.items() if name.startswith(begin)}
        found[juror.place] = _template_in(named, own, replace(settings, jury=None, **asked), item)
    return lambda block: found.get(block // BLOCKS)


def _template_in(
    templates: Mapping[str, Template], written: Mapping[str, Any], settings: JudgeSettings, item: Item
) -> Template | None:
    if len(item.responses) == 1 and "single_template" in written:
        return templates.get(written["single_template"])
    try:
        return template_for(item, settings, templates)
    except TemplateError:
        return None


def first_texts(store: RunStore, settings: JudgeSettings, stored: StoredItem) -> list[FirstText]:
    """What the first steps of an item's judgments wrote, each once."""
    try:
        templates = store.templates()
        step = step_of(template_for(stored.item, settings, templates), settings, templates)
    except (TemplateError, KeyError):  # a run that was judged by no template, or keeps none
        return []
    found: dict[str, FirstText] = {}
    for judgment in stored.verdict.judgments if step is not None else ():
        assert step is not None
        seen, texts = as_shown(stored.item, judgment)
        key = step.key(seen, texts.order)
        if key not in found and (text := store.first_texts.get(key)) is not None:
            order = judgment.order if step.template.shows_responses else None
            found[key] = FirstText(step.template.name, order, text)
    return list(found.values())


def _verdict(
    store: RunStore,
    settings: JudgeSettings,
    position: int,
    item: Item,
    judgments: Sequence[Judgment],
    row: Mapping[str, Any],
) -> Verdict:
    rubric, n, samples = settings.rubric, len(item.responses), samples_by_block(judgments)
    jury = None if settings.jury is None else jury_table(samples, n, settings.jury)
    jury = jury and jury.with_errors(errors_in(row.get("jury")))
    return Verdict(
        id=item.id,
        n=n,
        k=row["k"],
        rule=settings.rule,
        tie_rule=settings.tie_rule,
        valid_N=scored_N(samples, n),
        valid=row["valid"],
        invalid=row["invalid"],
        best=row["best"],
        ranking=_listed(row["ranking"]),
        totals=_listed(row["totals"]),
        means=_listed(row["means"]),
        spread=_listed(row["spread"]),
        tied=tuple(row["tied"]),
        confidence=row["confidence"],
        error=None if row["error"] is None else ItemError(**row["error"]),
        duplicates=count_duplicates(judgments) if settings.sampling.temperature > 0 else 0,
        criteria=None if rubric is None else criteria_of(samples, n, rubric, row["k"]),
        jury=jury,
        usage=store.usage(position),
        judgments=tuple(judgments),
    )


def _guided(verdict: Verdict, settings: JudgeSettings, ratings: Ratings) -> Verdict:
    """The verdict with what its row does not say: which judgments the meta RM let into the vote."""
    rated = index_ratings(verdict.judgments, ratings)
    kept = best_rated(rated, {judgment.index for judgment in verdict.judgments}, settings.k_meta)
    valid = [judgment for judgment in verdict.judgments if judgment.problem is None]
    voting = [judgment for judgment in valid if judgment.index in kept]
    return replace(
        verdict,
        kept=kept,
        unrated=len({judgment.index for judgment in valid} - rated.keys()),
        valid_N=scored_N(samples_by_block(voting), verdict.n),
    )


def _so_far(
    store: RunStore,
    settings: JudgeSettings,
    position: int,
    item: Item,
    judgments: Sequence[Judgment],
    ratings: Ratings | None,
) -> Verdict:
    noise = noise_in(store.templates(), settings.template)
    return verdict_of(item, settings, judgments, ratings=ratings, usage=store.usage(position), noise=noise)


def _listed(values: Sequence[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)
