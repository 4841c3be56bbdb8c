"""What a run adds up to, item by item: the figures of the live display and of the summary at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from spct.judges.settings import JudgeSettings
from spct.judges.template_choice import lenience_in, scale_of
from spct.measures import TruthMeasured, measured, why_ungraded
from spct.measures.case import Case, Scale, case_of
from spct.prices import Prices
from spct.run import RunStore
from spct.run.stored import StoredItem, stored_items, stored_settings
from spct.types import Item, Usage
from spct.views.jury import JuryTotals
from spct.voting.accuracy import Grades, GradesByKind
from spct.voting.rows import count_judgments, short_of, shown_of
from spct.voting.verdict import Verdict


@dataclass(slots=True)
class Totals:
    """Counts over the items that are done; ``planned`` is None where the number of items is not known.

    ``unfinished`` items of a stored run are begun and without a verdict.

    ``judgments`` and ``invalid`` (by problem code) count the completions behind the verdicts, ``replayed`` of them
    taken from the run directory. ``missing`` judgments are invalid, in part where scores were recorded one by one.
    ``no_verdict`` counts items by error type, ``examples`` has an (id, message) of each.
    ``kept`` judgments were let into the votes of ``guided`` items by a meta RM, which could not rate ``unrated``.
    ``saved`` are planned judgments that adaptive k made unnecessary, of ``settled`` items. ``duplicates`` are repeated
    completions, on ``duplicate_items`` items. ``short`` votes rest on fewer judgments than were planned, for the
    ``short_causes`` (problem codes, error types) of those that lack. ``scale`` is that of the judge's scores, None if
    it states none; ``lenient`` says in what answers were read less than strictly. ``cases`` are the votes whose items have
    a truth, ``ungraded`` counts the others by reason.
    ``usage`` and ``seconds`` are this session's, and ``prices`` what its tokens cost; ``seconds`` is None where nothing was
    timed. ``jury`` is empty where one judge judged.
    """

    planned: int | None = None
    scale: Scale | None = None
    lenient: str | None = None
    items: int = 0
    unfinished: int = 0
    verdicts: int = 0
    no_verdict: Counter[str] = field(default_factory=Counter)
    examples: dict[str, tuple[str, str]] = field(default_factory=dict)
    judgments: int = 0
    missing: float = 0
    invalid: Counter[str] = field(default_factory=Counter)
    replayed: int = 0
    ties: int = 0
    saved: int = 0
    settled: int = 0
    guided: int = 0
    kept: int = 0
    unrated: int = 0
    duplicates: int = 0
    duplicate_items: int = 0
    short: int = 0
    short_causes: Counter[str] = field(default_factory=Counter)
    cases: list[Case] = field(default_factory=list)
    ungraded: Counter[str] = field(default_factory=Counter)
    jury: JuryTotals = field(default_factory=JuryTotals)
    graded: GradesByKind = field(default_factory=GradesByKind)
    usage: Usage = field(default_factory=Usage)
    seconds: float | None = None
    prices: Prices = field(default_factory=Prices)

    def add(self, verdict: Verdict, item: Item, replayed: int = 0) -> None:
        """Count an item that is done; ``replayed`` of its judgments came from the run directory."""
        count, missing = count_judgments(verdict.judgments, verdict.n)
        self.items += 1
        self.replayed += replayed
        self.judgments += count
        self.missing += missing
        self.ties += bool(verdict.tied)
        if verdict.best is not None and verdict.error is None and 0 < verdict.sampled < verdict.k:
            self.saved += verdict.k - verdict.sampled
            self.settled += 1
        if verdict.kept is not None:
            self.guided += 1
            self.kept += len(verdict.kept)
            self.unrated += verdict.unrated
        self.duplicates += verdict.duplicates
        self.duplicate_items += bool(verdict.duplicates)
        if verdict.best is not None:
            self.verdicts += 1
        else:
            type_, message = (verdict.error.type, verdict.error.message) if verdict.error else ("unknown", "")
            self.no_verdict[type_] += 1
            self.examples.setdefault(type_, (verdict.id, message))
        if verdict.invalid:
            self.invalid.update(j.problem.code for j in verdict.judgments if j.problem is not None)
        self.jury.add(verdict, item)
        self._add_short(verdict)
        self._add_truth(verdict, item)

    @property
    def grades(self) -> Grades:
        """Right and wrong, of the kinds of truth of which every item can be either."""
        return self.graded.grades

    def measured(self) -> TruthMeasured:
        """Every measure that fits the truth of the items so far."""
        return measured(self.cases, self.ungraded, self.scale)

    def _add_short(self, verdict: Verdict) -> None:
        lacking = short_of(verdict)
        self.short += bool(lacking)
        self.short_causes.update(lacking)

    def _add_truth(self, verdict: Verdict, item: Item) -> None:
        self.graded.scale = self.scale
        self.graded.add(verdict.means, item)
        if (why := why_ungraded(item)) is not None:
            self.ungraded[why] += 1
        if (case := case_of(item, verdict.means, shown_of(verdict))) is not None:
            self.cases.append(case)


def totals_of(store: RunStore, settings: JudgeSettings) -> Totals:
    """The sums over a stored run before its first item; ``settings`` are its own, or those that it is voted on anew by."""
    templates = store.templates()
    return Totals(scale=scale_of(settings, templates), lenient=lenience_in(templates))


def added_up(store: RunStore, totals: Totals) -> Iterator[StoredItem]:
    """The run's items in input order, each when ``totals`` has it in them; in the end they have what all of it cost."""
    written, settings = stored_settings(store)
    for stored in stored_items(store, settings, written.get("meta")):
        if stored.finished:
            totals.add(stored.verdict, stored.item)
        else:
            totals.unfinished += 1
        yield stored
    totals.usage = store.usage()
