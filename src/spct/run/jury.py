"""Runs of several judges over the same items, joined into one whose jury they are; and its votes by other rules.

Judging apart and joining gives what a jury would have judged together. Failure rule: runs without an item in common, and runs
that were rated by a meta RM or are juries already, are InputErrors before anything is written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from spct.errors import InputError
from spct.items import fingerprint
from spct.judges.settings import JudgeSettings
from spct.judges.verdicts import verdict_of
from spct.run.damage import as_damage
from spct.run.opening import begun
from spct.run.store import RunStore
from spct.run.stored import stored_scale, stored_settings
from spct.types import Item
from spct.voting.by_juror import juror_rows, moments_of
from spct.voting.jury import BLOCKS, Comparable, Juror, Jury
from spct.voting.rows import Samples, ScoreRow, samples_by_block

FLUSH_EVERY = 500


@dataclass(frozen=True, slots=True)
class Joined:
    """How many items and judgments a joined run has; ``left_out`` items are not in all of the runs."""

    items: int
    judgments: int
    left_out: int


def join_runs(
    directories: Sequence[Path],
    out: Path,
    *,
    names: Sequence[str] = (),
    weights: Sequence[float] = (),
    comparable: Comparable = "raw",
) -> Joined:
    """Join finished runs over the same items into a run of their jury in ``out``.

    ``names`` of the judges are by default those of the directories, ``weights`` 1. Raises InputError, RunError.
    """
    if len(directories) < 2:
        raise InputError(f"got {len(directories)} runs; expected one for each of two judges or more")
    names = names or [directory.resolve().name for directory in directories]
    if len(names) != len(directories) or (weights and len(weights) != len(directories)):
        raise InputError(f"got {len(directories)} runs, {len(names)} names, {len(weights)} weights; expected one each")
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(contextlib.closing(RunStore.open(directory))) for directory in directories]
        found = [stored_settings(store) for store in stores]
        for directory, (written, settings) in zip(directories, found, strict=True):
            if settings.jury is not None or written.get("meta"):
                what = "is a jury's already" if settings.jury is not None else "goes by a meta RM"
                raise InputError(f"{directory}: this run {what}; expected a run of one judge")
        places = _in_all(stores)
        jurors = [
            Juror(
                name,
                place,
                settings.k,
                Fraction(str(weights[place])) if weights else Fraction(1),
                stored_scale(stores[place], settings),
                settings.rubric,
            )
            for place, (name, (_, settings)) in enumerate(zip(names, found, strict=True))
        ]
        jury = Jury(tuple(jurors), "rank" if comparable == "standardised" else comparable)
        first = found[0][1]
        settings = JudgeSettings(
            k=max(juror.k for juror in jurors), seed=first.seed, tie_rule=first.tie_rule, jury=jury
        )
        shared: dict[str, Any] = {name: found[0][0][name] for name in ("benchmark", "data") if name in found[0][0]}
        described: dict[str, Any] = {
            "judge": "jury",
            "model": " + ".join(str(written.get("model")) for written, _ in found),
            "k": settings.k,
            "seed": settings.seed,
            "rule": "sum",
            "tie_rule": settings.tie_rule,
            "jury": jury.as_row(),
            "jurors": {name: written for name, (written, _) in zip(names, found, strict=True)},
            **shared,
        }
        with contextlib.closing(begun(out, described, {"joined": [str(path) for path in directories]})) as joined:
            for position, (item, of_stores) in enumerate(places):
                _write(joined, position, item, settings, stores, of_stores)
                if position % FLUSH_EVERY == 0:
                    joined.flush()
            joined.flush()
            left_out = sum(store.count("items") - len(places) for store in stores)
            return Joined(len(places), joined.count("judgments"), left_out)


def _in_all(stores: Sequence[RunStore]) -> list[tuple[Item, list[int]]]:
    """The items that every run has, in the first one's order, with their places in each."""
    tables: list[dict[tuple[str, str], int]] = [
        {(item.id, fingerprint(item)): position for position, item in store.items()} for store in stores
    ]
    found = []
    for _, item in stores[0].items():
        mark = (item.id, fingerprint(item))
        if all(mark in table for table in tables):
            found.append((item, [table[mark] for table in tables]))
    if not found:
        raise InputError("got runs without an item in common; expected runs over the same items")
    return found


def _write(
    joined: RunStore,
    position: int,
    item: Item,
    settings: JudgeSettings,
    stores: Sequence[RunStore],
    places: Sequence[int],
) -> None:
    joined.add_item(position, item)
    judgments = []
    for juror, (store, place) in enumerate(zip(stores, places, strict=True)):
        own = [replace(j, block=j.block + juror * BLOCKS) for j in store.history(place)]
        joined.record(position, own, store.usage(place))
        judgments += own
    joined.put_verdict(position, verdict_of(item, settings, judgments).as_row())


def jury_of(
    store: RunStore,
    settings: JudgeSettings,
    *,
    judges: Sequence[str] = (),
    comparable: Comparable | None = None,
    below: float | None = None,
    weights: Sequence[float] = (),
) -> JudgeSettings:
    """The run's settings with another jury: some of its judges (in this order), another rule, other weights.

    Learns what "standardised" needs from the whole run. Raises InputError for a run of one judge.
    """
    if settings.jury is None:
        raise InputError(f"{store.directory} is a run of one judge; join runs into a jury with spct jury")
    jurors = settings.jury.only(judges) if judges else settings.jury.jurors
    if weights:
        if len(weights) != len(jurors):
            raise InputError(
                f"got {len(weights)} weights; expected one for each of {', '.join(j.name for j in jurors)}"
            )
        jurors = tuple(replace(j, weight=Fraction(str(weight))) for j, weight in zip(jurors, weights, strict=True))
    rule = comparable or ("escalate" if below is not None else settings.jury.comparable)
    if len(jurors) == 1:
        rule = "raw"
    if rule == "standardised":
        jurors = with_moments(store, jurors)
    level = settings.jury.below if below is None else below
    jury = Jury(jurors, rule, level if rule == "escalate" else None)
    return replace(settings, jury=jury, k=min(settings.k, max(juror.k for juror in jurors)))


def with_moments(store: RunStore, jurors: Sequence[Juror]) -> tuple[Juror, ...]:
    """The jurors with the moments of all their scores in the run."""
    rows: dict[str, list[ScoreRow]] = {juror.name: [] for juror in jurors}
    for item, samples in samples_of_items(store):
        for juror in jurors:
            rows[juror.name] += juror_rows(samples, len(item.responses), juror)
    return tuple(replace(juror, moments=moments_of(rows[juror.name], juror.name)) for juror in jurors)


def samples_of_items(store: RunStore) -> Iterator[tuple[Item, Samples]]:
    """Every item that has a verdict, with its samples by block."""
    finished = {position for position, _ in store.verdict_rows()}
    judged = dict(store.items())
    with as_damage(str(store.directory)):
        for position, judgments in store.judgments():
            if position in finished:
                yield judged[position], samples_by_block(judgments)
