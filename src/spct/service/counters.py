"""What a service counts, as plain numbers: whoever wants to show them reads them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from spct.service.run_figures import RunsSeen
from spct.types import Usage
from spct.voting.verdict import Verdict


@dataclass(slots=True)
class Counters:
    """Sums since the service began.

    ``answered`` by source (sampled, shared, cached), ``errors`` by class, ``verdicts`` as winner, tied or none,
    ``problems`` of invalid judgments by code. ``lost`` counts verdicts that could not be recorded, ``cut_short`` answers by
    what there was of a verdict when a deadline came. ``runs`` are the figures of each training run.
    """

    answered: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    valid: int = 0
    lost: int = 0
    cut_short: int = 0
    usage: Usage = field(default_factory=Usage)
    runs: RunsSeen = field(default_factory=RunsSeen)

    def judged(self, verdict: Verdict) -> None:
        """Count a verdict that was made, and what making it took."""
        self.verdicts["none" if verdict.best is None else "tied" if verdict.tied else "winner"] += 1
        self.valid += verdict.valid
        self.usage += verdict.usage
        if verdict.error is not None:
            self.errors[verdict.error.type] += 1
        if verdict.invalid:
            self.problems.update(j.problem.code for j in verdict.judgments if j.problem is not None)
