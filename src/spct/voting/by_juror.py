"""The judgments of several judges -> the vote of the jury.

A juror counts by its weight, however many judgments it made: with s the mean of juror m's comparable scores of a response,
the jury's score is sum(w_m s_m) / sum(w_m). A juror without a valid judgment of every response is left out of the item. Row i
of the vote has the i-th judgment of every juror, and the juror's mean where it has none, so that the mean over the rows is the
jury's score. Fractions throughout: equal is equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import fsum, sqrt

from spct.errors import InputError
from spct.voting.blocks import Part
from spct.voting.by_criterion import criteria_of
from spct.voting.confidence import lead_confidence
from spct.voting.jury import BLOCKS, Juror, JurorResult, Jury, JuryTable
from spct.voting.noise import TEN_POINTS, scale_noise
from spct.voting.rows import Samples, ScoreRow, sample_rows

Rows = Mapping[int, Sequence[Fraction | None]]


def jury_table(samples: Samples, n: int, jury: Jury) -> JuryTable:
    """The jury's vote on n responses by all the judgments there are of an item."""
    owned = [_own(samples, juror) for juror in jury.jurors]
    found = [_rows(own, n, juror) for juror, own in zip(jury.jurors, owned, strict=True)]
    means = [_means(list(rows.values()), n) for rows in found]
    results = [_result(*each) for each in zip(jury.jurors, owned, found, means, strict=True)]
    escalated = None
    counting = [m for m, mean in enumerate(means) if mean is not None]
    if jury.comparable == "escalate":
        escalated = calls_in(results[0].confidence, jury)
        wanted = 1 if escalated else 0
        counting = [wanted] if wanted in counting else counting[:1]
    compared = {m: _comparable(found[m], jury.jurors[m], jury.comparable) for m in counting}
    of_all = {m: mean for m, rows in compared.items() if (mean := _means(list(rows.values()), n)) is not None}
    compared = {m: compared[m] for m in of_all}  # where rows have gaps, a juror may have means and still no ranks
    results = [replace(result, counted=m in compared) for m, result in enumerate(results)]
    if not compared:
        return JuryTable(jury.comparable, tuple(results), escalated)
    total = _sum(jury.jurors[m].weight for m in compared)
    shares = {m: jury.jurors[m].weight / total for m in compared}
    exact_N = tuple(_sum(shares[m] * of_all[m][i] for m in compared) for i in range(n))  # noqa: N806
    indices = sorted({index for rows in compared.values() for index in rows})

    def value(m: int, index: int, i: int) -> Fraction:
        own = compared[m].get(index)
        score = None if own is None else own[i]
        return of_all[m][i] if score is None else score

    rows = [[float(_sum(shares[m] * value(m, index, i) for m in compared)) for i in range(n)] for index in indices]
    return JuryTable(
        jury.comparable,
        tuple(results),
        escalated,
        exact_N,
        tuple(rows),
        tuple(_order(samples[index]) for index in indices),
        fsum(float(shares[m]) ** 2 * _noise(jury.jurors[m], jury.comparable) for m in compared),
    )


def calls_in(confidence: float | None, jury: Jury) -> bool:
    """Whether a first juror of this confidence hands the item on; one without any does."""
    return confidence is None or jury.below is None or confidence < jury.below


def moments_of(rows: Sequence[ScoreRow], name: str) -> tuple[float, float]:
    """The mean and the deviation of all the scores of a juror. Raises InputError where they are all the same."""
    scores = [float(score) for row in rows for score in row if score is not None]
    mean = fsum(scores) / len(scores) if scores else 0.0
    deviation = sqrt(fsum((score - mean) ** 2 for score in scores) / len(scores)) if scores else 0.0
    if deviation == 0:
        raise InputError(f"the judge {name!r} gives every response the same score, which cannot be standardised")
    return mean, deviation


def juror_rows(samples: Samples, n: int, juror: Juror) -> list[ScoreRow]:
    """The rows of one juror's own vote, on its own scale."""
    return [[None if s is None else float(s) for s in row] for row in _rows(_own(samples, juror), n, juror).values()]


def _own(samples: Samples, juror: Juror) -> dict[int, dict[int, Part]]:
    """The parts that are the juror's, with its own blocks."""
    first = juror.place * BLOCKS
    found = {}
    for index, parts in samples.items():
        own = {block - first: part for block, part in parts.items() if first <= block < first + BLOCKS}
        if own and index < juror.k:
            found[index] = own
    return found


def _rows(own: Samples, n: int, juror: Juror) -> dict[int, Sequence[Fraction | None]]:
    rows: Sequence[ScoreRow | None]
    indices: Sequence[int] = sorted(own)
    if juror.rubric is not None:
        criteria = criteria_of(own, n, juror.rubric, juror.k)
        rows, indices = criteria.rows, criteria.indices
    else:
        rows = sample_rows([list(own[index].values()) for index in indices], n)
    return {
        index: [None if score is None else Fraction(score) for score in row]
        for index, row in zip(indices, rows, strict=True)
        if row is not None
    }


def _means(rows: Sequence[Sequence[Fraction | None]], n: int) -> tuple[Fraction, ...] | None:
    """The mean of each response over the rows that score it; None unless some row scores each."""
    columns = [[row[i] for row in rows if row[i] is not None] for i in range(n)]
    if not all(columns):
        return None
    return tuple(_sum(score for score in column if score is not None) / len(column) for column in columns)


def _comparable(rows: Rows, juror: Juror, rule: str) -> Rows:
    if rule == "rank":
        return {index: _ranks(row) for index, row in rows.items()}
    if rule == "standardised":
        if juror.moments is None:
            raise InputError(
                f"the scores of {juror.name!r} are not standardised yet: that takes the whole run; use spct vote RUN"
            )
        mean, deviation = map(Fraction, juror.moments)
        return {index: [None if s is None else (s - mean) / deviation for s in row] for index, row in rows.items()}
    return rows


def _ranks(row: Sequence[Fraction | None]) -> list[Fraction | None]:
    """The share of the others below each, ties half; a lone response and a row with a gap have no ranks."""
    scores = [score for score in row if score is not None]
    if len(scores) < len(row) or len(row) < 2:
        return [None] * len(row)
    return [
        (sum(other < score for other in scores) + Fraction(sum(other == score for other in scores) - 1, 2))
        / (len(scores) - 1)
        for score in scores
    ]


def _result(juror: Juror, own: Samples, rows: Rows, mean: tuple[Fraction, ...] | None) -> JurorResult:
    asked = sum(len(parts) for parts in own.values())
    if mean is None:
        return JurorResult(juror.name, juror.place, float(juror.weight), juror.k, len(rows), asked)
    top = max(mean)
    leaders = tuple(i for i, value in enumerate(mean) if value == top)
    scores: list[ScoreRow] = [[None if s is None else float(s) for s in row] for row in rows.values()]
    confidence = lead_confidence(scores, leaders[0], _noise(juror, "raw"))
    means = tuple(map(float, mean))
    return JurorResult(
        juror.name, juror.place, float(juror.weight), juror.k, len(rows), asked, means, leaders, confidence
    )


def _noise(juror: Juror, rule: str) -> float:
    if rule == "rank":
        return scale_noise(0, 1)
    noise = TEN_POINTS if juror.scale is None else scale_noise(*juror.scale)
    if rule == "standardised" and juror.moments is not None:
        return noise / juror.moments[1] ** 2
    return noise


def _order(parts: Mapping[int, Part]) -> tuple[int, ...]:
    """The order that the first judgment of a sample showed."""
    return max((order for order, _ in parts.values()), key=len)


def _sum(values: Iterable[Fraction]) -> Fraction:
    return sum(values, Fraction(0))
