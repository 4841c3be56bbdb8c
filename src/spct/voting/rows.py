"""An item's judgments -> the rows of scores that its vote is over, one row for each planned sample.

A sample is one judgment of all n responses; or its blocks, which are reconciled first (``blocks``); or, in an imported
run, a judgment of some responses beside the failed ones of the others. Of several attempts the last valid one counts. No
score is filled in: where a sample does not score a response its row has None, and that response's mean is over the other
rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import fsum

from spct.types import Judgment
from spct.voting.blocks import Part, in_blocks, reconciled
from spct.voting.verdict import Rule, Verdict

ScoreRow = Sequence[float | None]
Samples = Mapping[int, Mapping[int, Part]]
"""The parts of each sample, by its index and their block."""
Shown = Sequence[tuple[tuple[int, ...], ScoreRow | None]]
"""Orders that an item's responses were shown in, with the scores given there; None for scores that are missing."""


def rows_of(judgments: Sequence[Judgment], n: int, rule: Rule = "sum") -> list[ScoreRow] | None:
    """The rows of one item's judgments; a sample without a valid one has no row.

    None if ``rule`` is "expected" and a valid judgment has no expected scores: the two kinds are never mixed.
    """
    if rule == "expected" and any(j.scores is not None and j.expected is None for j in judgments):
        return None
    return [row for row in sample_rows(samples_of(judgments, rule), n) if row is not None]


def samples_of(judgments: Iterable[Judgment], rule: Rule = "sum") -> list[list[Part]]:
    """The parts of each sample, from judgments with the attempts at each part in order."""
    return [list(parts.values()) for parts in samples_by_block(judgments, rule).values()]


def samples_by_block(judgments: Iterable[Judgment], rule: Rule = "sum") -> Samples:
    """As ``samples_of``, each part by its block: the criterion of a rubric, or the juror whose it is."""
    samples: dict[int, dict[int, Part]] = {}
    for judgment in judgments:
        scores = judgment.expected if rule == "expected" else judgment.scores
        keep_part(samples, judgment.index, judgment.block, (judgment.order, scores))
    return samples


def keep_part(samples: dict[int, dict[int, Part]], index: int, block: int, part: Part) -> None:
    """Take a further attempt at a part of sample ``index``: an invalid one never takes the place of a valid one."""
    parts = samples.setdefault(index, {})
    if part[1] is not None or block not in parts:
        parts[block] = part


def sample_rows(samples: Sequence[Sequence[Part]], n: int) -> list[ScoreRow | None]:
    """The row of each sample, None for one without a valid part."""
    if in_blocks(samples):
        samples = reconciled(samples, n)
    return [_row(parts, n) for parts in samples]


def scored_N(samples: Samples, n: int) -> tuple[int, ...]:  # noqa: N802
    """How many of an item's samples score each of its n responses."""
    counts = [0] * n
    for parts in samples.values():
        for i in _scored(parts.values()):
            counts[i] += 1
    return tuple(counts)


def _scored(parts: Iterable[Part]) -> set[int]:
    return {i for order, scores in parts if scores is not None for i in order}


def missing_of(rows: Iterable[ScoreRow | None]) -> float:
    """How many of the samples are missing: those without a row, and the share of the others' scores that is not there."""
    return fsum(1 if row is None else sum(score is None for score in row) / len(row) for row in rows)


def shown_of(verdict: Verdict) -> Shown:
    """What was voted over in each order: the rows of a jury or of a rubric, else the scores that the rule takes."""
    if (table := verdict.jury or verdict.criteria) is not None:
        return list(zip(table.orders, table.rows, strict=True))
    expected = verdict.rule == "expected"
    return [(j.order, j.expected if expected else j.scores) for j in verdict.judgments]


def count_judgments(judgments: Sequence[Judgment], n: int) -> tuple[int, float]:
    """How many judgments there are, and how many of them are invalid.

    Counts completions, and samples where the scores of some were recorded one by one: such a sample is one judgment,
    invalid by the share of its scores that is missing.
    """
    if any(len(judgment.order) < n for judgment in judgments) and not in_blocks(samples := samples_of(judgments)):
        return len(samples), fsum(1 - len(_scored(parts)) / n for parts in samples)
    return len(judgments), sum(judgment.scores is None for judgment in judgments)


def short_of(verdict: Verdict) -> Counter[str]:
    """How many of the judgments planned for a vote are missing from it, by cause; empty without a vote.

    The cause is the problem of the last attempt at the judgment, or the error that kept it from being sampled. What
    adaptive k left out on purpose does not count.
    """
    if verdict.best is None:
        return Counter()
    last: dict[tuple[int, int], Judgment] = {}
    for judgment in verdict.judgments:
        place = judgment.index, judgment.block
        if place not in last or last[place].problem is not None:
            last[place] = judgment
    problems = {index: j.problem.code for (index, _), j in last.items() if j.problem is not None}
    causes: Counter[str] = Counter(problems.values())
    if verdict.error is not None and verdict.sampled < verdict.k:
        causes[verdict.error.type] += verdict.k - verdict.sampled
    return causes


def _row(parts: Sequence[Part], n: int) -> ScoreRow | None:
    if len(parts) == 1 and len(parts[0][0]) == n:
        return parts[0][1]
    found: list[list[float]] = [[] for _ in range(n)]
    for order, scores in parts:
        for i, score in zip(sorted(order), scores or (), strict=scores is not None):
            found[i].append(score)
    # A lone score stays as it is: whole numbers keep whole totals.
    row = [None if not scores else scores[0] if len(scores) == 1 else fsum(scores) / len(scores) for scores in found]
    return row if any(found) else None
