"""The questions of the second edition, as docs/lab-plan.md asked them before the runs, and what counts as an answer.

A row such as main/rl/plain/{few} is branch, model, vote and k of ``collect``; {k} is the largest vote (32), {few} that of the
ablations (8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

LEAST = 0.01
"""One point of accuracy: less is as good as nothing."""
LEVEL = 0.05

Verdict = Literal["confirmed", "refuted", "open"]


@dataclass(frozen=True, slots=True)
class Question:
    """That ``after`` is better than ``before``; or, with ``keeps``, that it is no more than ``LEAST`` worse."""

    claim: str
    after: str
    before: str
    keeps: bool = False
    ours: bool = False
    """The paper says nothing of it."""

    def filled(self, few: int, most: int) -> Question:
        """The question with the sizes of votes that there are."""
        claim, after, before = (text.format(few=few, k=most) for text in (self.claim, self.after, self.before))
        return replace(self, claim=claim, after=after, before=before)


QUESTIONS: Mapping[str, Question] = {
    "rft": Question("RFT adds to the base, votes of {few}", "main/sft/plain/{few}", "main/base/plain/{few}"),
    "rl": Question("RL adds to RFT, greedily", "main/rl/greedy/1", "main/sft/greedy/1"),
    "votes": Question("{few} votes add to one judgment, after RL", "main/rl/plain/{few}", "main/rl/plain/1"),
    "more-votes": Question("{k} votes add to {few}, after RL", "main/rl/plain/{k}", "main/rl/plain/{few}"),
    "principles": Question(
        "Principles add, after RL, votes of {few}", "main/rl/first/{few}", "no-principles/rl/plain/{few}"
    ),
    "rejection": Question(
        "Rejection adds, after RFT, votes of {few}", "main/sft/first/{few}", "no-rejection/sft/plain/{few}"
    ),
    "hinted": Question(
        "Hinted sampling adds, after RFT, votes of {few}", "main/sft/first/{few}", "no-hinted/sft/plain/{few}"
    ),
    "sampled": Question(
        "Sampling without hints adds, votes of {few}", "main/sft/first/{few}", "no-sampled/sft/plain/{few}"
    ),
    "kl": Question("The KL term adds, after RL, greedily", "main/rl/greedy/1", "beta-0/rl/greedy/1"),
    "meta": Question("The meta RM's better half adds to {k} votes", "main/rl/guided/{k}", "main/rl/plain/{k}"),
    "meta-best": Question(
        "So does the share that is best on the other bases", "main/rl/chosen/{k}", "main/rl/plain/{k}", ours=True
    ),
    "meta-soft": Question("So do votes weighed by the rating", "main/rl/soft/{k}", "main/rl/plain/{k}", ours=True),
    "sums": Question(
        "Totals worked out add to the model's own sums, votes of {few}",
        "main/rl/plain-added/{few}",
        "main/rl/plain/{few}",
        ours=True,
    ),
    "compute-middle": Question(
        "3 votes of the small base are better than 1 judgment of one 3 times as large",
        "main/base/plain/3",
        "bench-middle/base/greedy/1",
    ),
    "compute-large": Question(
        "6 votes of the small base are better than 1 judgment of one 6 times as large",
        "main/base/plain/6",
        "bench-large/base/greedy/1",
    ),
    "adaptive": Question(
        "Adaptive k loses nothing against all {k}",
        "adaptive/base/plain/{k}",
        "main/rl/plain/{k}",
        keeps=True,
        ours=True,
    ),
    "escalation": Question(
        "Handing on what is unsure loses nothing against always asking the larger",
        "escalated/base/95/{few}",
        "bench-large/base/first/{few}",
        keeps=True,
        ours=True,
    ),
}


def verdict(question: Question, row: Mapping[str, Any], corrected_p: float | None) -> Verdict:
    """What the difference ``row`` (after less before) says of the claim.

    "A adds" is confirmed where the difference is above 0 and ``corrected_p`` below ``LEVEL``; refuted where it is below 0 so
    surely, or where its interval over bases and queries lies below ``LEAST``. "A loses nothing" is confirmed where that
    interval lies above -``LEAST``, refuted where it lies below it. Anything else is open.
    """
    if row["both"] is None:
        return "open"
    low, high = row["both"]
    if question.keeps:
        return "confirmed" if low > -LEAST else "refuted" if high < -LEAST else "open"
    sure = corrected_p is not None and corrected_p < LEVEL
    if sure and row["value"] > 0:
        return "confirmed"
    return "refuted" if sure or high < LEAST else "open"
