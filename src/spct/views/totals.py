"""What a run adds up to, item by item: the counts behind the live display and the summary at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from spct.types import Item, Usage
from spct.voting.accuracy import Grades, grades_of
from spct.voting.rows import count_judgments
from spct.voting.verdict import Verdict

_NO_USAGE = Usage()
_NO_GRADES = Grades()


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over the items that are done; ``planned`` is None where the number of items is not known.

    ``judgments`` and ``invalid`` (by problem code) count the completions behind the verdicts, ``replayed`` of them
    taken from the run directory. ``missing`` judgments are invalid, in part where scores were recorded one by one.
    ``no_verdict`` counts items by error type, ``examples`` has an (id, message) of each.
    ``kept`` judgments were let into the votes of ``guided`` items by a meta RM, which could not rate ``unrated``.
    ``saved`` are planned judgments that adaptive k made unnecessary, of ``settled`` items. ``duplicates`` are repeated
    completions, on ``duplicate_items`` items. ``usage``, ``seconds`` and ``cost`` (in the
    unit of the prices, None without them) are this session's; ``seconds`` is None where nothing was timed.
    """

    planned: int | None = None
    items: int = 0
    verdicts: int = 0
    no_verdict: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    judgments: int = 0
    missing: float = 0
    invalid: Mapping[str, int] = field(default_factory=dict)
    replayed: int = 0
    ties: int = 0
    saved: int = 0
    settled: int = 0
    guided: int = 0
    kept: int = 0
    unrated: int = 0
    duplicates: int = 0
    duplicate_items: int = 0
    grades: Grades = _NO_GRADES
    usage: Usage = _NO_USAGE
    seconds: float | None = None
    cost: float | None = None


class Counts:
    """Adds verdicts up; ``totals`` is a snapshot."""

    def __init__(self) -> None:
        self.items = 0
        self.fresh_items = 0
        self.replayed = 0
        self._verdicts = 0
        self._judgments = 0
        self._missing = 0.0
        self._ties = 0
        self._saved = 0
        self._settled = 0
        self._guided = self._kept = self._unrated = 0
        self._duplicates = 0
        self._duplicate_items = 0
        self._no_verdict: Counter[str] = Counter()
        self._examples: dict[str, tuple[str, str]] = {}
        self._invalid: Counter[str] = Counter()
        self._grades = Grades()

    def add(self, verdict: Verdict, item: Item, replayed: int = 0) -> None:
        judgments = verdict.valid + verdict.invalid
        count, missing = count_judgments(verdict.judgments, verdict.n)
        self.items += 1
        self.fresh_items += replayed == 0 or replayed < judgments
        self.replayed += replayed
        self._judgments += count
        self._missing += missing
        self._ties += bool(verdict.tied)
        if verdict.best is not None and verdict.error is None and 0 < verdict.sampled < verdict.k:
            self._saved += verdict.k - verdict.sampled
            self._settled += 1
        if verdict.kept is not None:
            self._guided += 1
            self._kept += len(verdict.kept)
            self._unrated += verdict.unrated
        self._duplicates += verdict.duplicates
        self._duplicate_items += bool(verdict.duplicates)
        if verdict.best is not None:
            self._verdicts += 1
        else:
            type_, message = (verdict.error.type, verdict.error.message) if verdict.error else ("unknown", "")
            self._no_verdict[type_] += 1
            self._examples.setdefault(type_, (verdict.id, message))
        if verdict.invalid:
            self._invalid.update(j.problem.code for j in verdict.judgments if j.problem is not None)
        self._grades += grades_of(verdict.means, item)

    def totals(
        self,
        *,
        planned: int | None = None,
        usage: Usage = _NO_USAGE,
        seconds: float | None = None,
        cost: float | None = None,
    ) -> Totals:
        return Totals(
            planned=planned,
            items=self.items,
            verdicts=self._verdicts,
            no_verdict=dict(self._no_verdict),
            examples=dict(self._examples),
            judgments=self._judgments,
            missing=self._missing,
            invalid=dict(self._invalid),
            replayed=self.replayed,
            ties=self._ties,
            saved=self._saved,
            settled=self._settled,
            guided=self._guided,
            kept=self._kept,
            unrated=self._unrated,
            duplicates=self._duplicates,
            duplicate_items=self._duplicate_items,
            grades=self._grades,
            usage=usage,
            seconds=seconds,
            cost=cost,
        )
