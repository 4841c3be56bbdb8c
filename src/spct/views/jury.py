"""What a run of several judges adds up to: whose votes counted, what each cost, and the two sides of an escalation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from spct.types import Item
from spct.voting.accuracy import Grades, grades_of
from spct.voting.verdict import Verdict
from spct.wording import count, percent


@dataclass(slots=True)
class JuryTotals:
    """Judgments and tokens out by juror, how often each had no vote, and its errors by type.

    ``counts`` and ``grades`` are of the items that an escalation kept (False) and handed on (True).
    """

    judgments: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    counts: Counter[bool] = field(default_factory=Counter)
    grades: dict[bool, Grades] = field(default_factory=lambda: {False: Grades(), True: Grades()})

    def add(self, verdict: Verdict, item: Item) -> None:
        """Count an item that a jury judged; any other is passed over."""
        table = verdict.jury
        if table is None:
            return
        for judgment in verdict.judgments:
            name = table.name_of(judgment.block) or "others"
            self.judgments[name] += 1
            self.tokens[name] += judgment.completion_tokens or 0
        self.missing.update(table.missing)
        self.errors.update((r.name, r.error.type) for r in table.results if r.error is not None)
        if table.escalated is not None:
            self.counts[table.escalated] += 1
            self.grades[table.escalated] += grades_of(verdict.means, item)

    def facts(self) -> list[str]:
        """Sentences for a summary; [] where no jury judged."""
        if not self.judgments:
            return []
        each = [f"{name} {n:,}" + (f" ({self.tokens[name]:,} tokens out)" if self.tokens[name] else "")
                for name, n in self.judgments.items()]  # fmt: skip
        said = [f"judgments of {', '.join(each)}"]
        if self.missing:
            said.append("no vote: " + ", ".join(f"{name} on {count(n, 'item')}" for name, n in self.missing.items()))
        if self.errors:
            said.append("failed: " + ", ".join(f"{name} {n:,} x {type}" for (name, type), n in self.errors.items()))
        if total := sum(self.counts.values()):
            handed = self.counts[True]
            said.append(f"{handed:,} of {count(total, 'item')} handed on ({percent(handed, total)})")
            sides = [(what, self.grades[side]) for what, side in (("kept", False), ("handed on", True))]
            told = [
                f"{100 * grades.random_tie:.1f}% of {grades.count:,.0f} {what}"
                for what, grades in sides
                if grades.count
            ]
            if told:
                said.append(f"right, if a tie earns 1/#tied: {', '.join(told)}")
        return said
