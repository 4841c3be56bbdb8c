"""A finished run voted on anew from its stored samples: a smaller k, another rule, a meta RM's choice. Nothing is
sampled.

The first k judgments of an item are those a run with that k would have made, since orders and seeds do not depend on k.
Items that the run has not finished are left out and counted; an item that failed keeps its error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from spct.errors import InputError
from spct.judges.settings import JudgeSettings
from spct.judges.template_choice import noise_in
from spct.judges.verdicts import no_verdict, verdict_of
from spct.run.damage import as_damage
from spct.run.store import RunStore
from spct.types import Item, ItemError, Judgment
from spct.voting.jury import errors_in
from spct.voting.ratings import Place, Rating
from spct.voting.verdict import Rule, TieRule, Verdict

VOTE_ERRORS = frozenset({"NoValidJudgment", "NoExpectedScore", "NoRating"})
"""Errors of a vote, which another vote may not have; any other is of the sampling."""


@dataclass(frozen=True, slots=True)
class Revoted:
    """An item with its new verdict; ``verdict`` is None if the run has not finished it."""

    position: int
    item: Item
    verdict: Verdict | None


def revote_settings(
    store: RunStore,
    settings: JudgeSettings,
    *,
    k: int | None = None,
    k_meta: int | None = None,
    meta: str | None = None,
    rule: Rule | None = None,
    tie_rule: TieRule | None = None,
) -> JudgeSettings:
    """The run's settings with what is to change; ``meta`` is the model id of the ratings to go by, or None.

    Raises InputError where the run does not hold what the new vote needs: samples, ratings or expected scores.
    """
    if k is not None and k > settings.k:
        raise InputError(
            f"k is {k} and the run has {settings.k} judgments an item; sample more with spct judge -k {k} --resume"
        )
    k = k or settings.k
    changed = replace(
        settings,
        k=k,
        rule=rule or settings.rule,
        tie_rule=tie_rule or settings.tie_rule,
        k_meta=None if meta is None else k_meta or (settings.k_meta if (settings.k_meta or 0) <= k else None),
    )
    if changed.rule == "expected" and not store.has_expected:
        raise InputError(
            f"no judgment in {store.directory} has an expected score: it was sampled without log-probabilities; judge "
            "with --rule expected or --top-logprobs 20, on an engine that returns them, into another --out"
        )
    if meta is not None and (missing := store.count_unrated(meta, k)):
        raise InputError(
            f"{missing:,} valid judgments of the first {k} an item have no rating by {meta!r}; rate them with "
            f"spct meta {store.directory} --meta SPEC"
        )
    return changed


def choose_meta(store: RunStore, named: str | None, of_run: str | None) -> str | None:
    """The meta RM to go by: the one that is named, else the run's own, else the only one there are ratings of."""
    found = store.metas()
    if named == "none":
        return None
    if named is not None and named not in found:
        known = f"there are ratings by {', '.join(found)}" if found else "there are no ratings"
        raise InputError(f"{store.directory} has no ratings by {named!r} ({known}); make some with spct meta")
    return named or of_run


def revote(store: RunStore, settings: JudgeSettings, meta: str | None = None) -> Iterator[Revoted]:
    """Vote on every item of the run, in input order, under ``revote_settings``; reads the file once, front to back."""
    noise = noise_in(store.templates(), settings.template)
    judgments = _Cursor(store.judgments())
    ratings = _Cursor(iter(()) if meta is None else store.all_ratings(meta))
    for position, item, row in store.items_and_verdicts():
        of_item = [
            judgment
            for judgment in judgments.at(position, [])
            if judgment.index < settings.k and (settings.jury is None or settings.jury.has(judgment.block))
        ]
        said = None if meta is None else ratings.at(position, {})
        with as_damage(f"{store.directory}: item {position}"):
            verdict = None if row is None else voted_anew(item, settings, of_item, said, row, noise)
        yield Revoted(position, item, verdict)


class _Cursor:
    """Steps through (position, value) pairs that come in order of position, some positions missing."""

    def __init__(self, pairs: Iterator[tuple[int, Any]]) -> None:
        self._pairs = pairs
        self._next = next(pairs, None)

    def at(self, position: int, otherwise: Any) -> Any:
        while self._next is not None and self._next[0] < position:
            self._next = next(self._pairs, None)
        return self._next[1] if self._next is not None and self._next[0] == position else otherwise


def voted_anew(
    item: Item,
    settings: JudgeSettings,
    judgments: list[Judgment],
    ratings: Mapping[Place, Rating] | None,
    row: Mapping[str, Any],
    noise: float,
) -> Verdict | None:
    """The verdict over an item's judgments, whose stored verdict is ``row``; None if that was over fewer than there are to be."""
    error = row["error"]
    whole = len({judgment.index for judgment in judgments}) == settings.k
    if error is not None and error["type"] not in VOTE_ERRORS and not whole:
        return no_verdict(item, settings, ItemError(**error), judgments)
    if row["k"] < settings.k and not whole:
        return None  # judged before k was raised, and not again since
    errors = errors_in(row.get("jury"))
    return verdict_of(item, settings, judgments, ratings=ratings, noise=noise, juror_errors=errors)
