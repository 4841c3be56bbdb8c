"""The rule-based reward: Eq 11 of arXiv 2504.02495 on one sampled judgment.

+1 if the judgment is correct by Eq 10, else -1. "Else" is everything else: wrong, tied, cut off, unparseable. There is no
reward for the format; the KL term keeps it. Failure rule: an item that no judgment could be right about is an InputError
before training, never a constant reward during it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spct.errors import InputError
from spct.templates import Template
from spct.types import FinishReason, Item
from spct.voting.accuracy import Grade, grade

CORRECT, ELSE = 1.0, -1.0


@dataclass(frozen=True, slots=True)
class Scored:
    """A sampled judgment with its reward. ``shown`` are its scores in shown order, None if it is invalid; ``problem`` says why."""

    reward: float
    grade: Grade
    shown: tuple[float, ...] | None
    problem: str | None = None


def score_rollout(text: str, finish: FinishReason, item: Item, order: Sequence[int], template: Template) -> Scored:
    """Eq 11 on a completion of the prompt that showed ``item``'s responses in ``order``."""
    parsed = template.parse(text, len(order), finish, sections=False)
    shown = parsed.scores
    scores = None if shown is None else [score for _, score in sorted(zip(order, shown, strict=True))]
    found = grade(scores, item)
    if found is None:
        raise InputError(f"item {item.id!r} has no ground truth; check_label refuses such items")
    problem = None if parsed.problem is None else f"{parsed.problem.code}: {parsed.problem.detail}"
    return Scored(CORRECT if found == "correct" else ELSE, found, shown, problem)
