"""Answers under a rubric -> what each response has of it: by criterion, in points, and as a share of the points, 0 to 1.

A judgment of a rubric answers one criterion for all responses, and its ``block`` is the criterion's place in the rubric;
its scores are the answers as given. The model adds nothing up. With v the mean worth (0..1) of a response's valid answers to
a criterion of weight w: points = sum of w v, and share = (points - least) / (most - least), where least and most are the
sums of the negative and of the positive weights. Fractions throughout, so the sums are exact and equal is equal.

- Missing. A criterion without one valid answer is left out for all responses of the item, and its weight with it: it
  is never a 0. A gate on it is undecided.
- Gates are decided by the mean over all answers. A response that fails one has the share 0, whatever its points.
- Rows. Sample i of a vote holds each response's share with the i-th answer to every criterion; where that is missing, or the
  criterion was asked fewer times, the mean of the others stands for it. So the mean over the rows is the share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import fsum, sqrt

from spct.rubrics.rubric import Criterion, Rubric, point_range
from spct.voting.blocks import Part
from spct.voting.confidence import lead_confidence
from spct.voting.criteria import Criteria, CriterionResult
from spct.voting.noise import scale_noise
from spct.voting.rows import Samples, ScoreRow


def criteria_of(samples: Samples, n: int, rubric: Rubric, k: int) -> Criteria:
    """What n responses have of ``rubric`` by the answers there are; ``k`` is how often the run asks each criterion."""
    answers = [_answers(samples, place, n) for place in range(len(rubric.criteria))]
    worth = [
        {index: [c.worth(value) for value in row] for index, row in found.items()}
        for c, found in zip(rubric.criteria, answers, strict=True)
    ]
    means = [_mean(list(rows.values())) for rows in worth]
    known = [place for place, mean in enumerate(means) if mean is not None]
    least, most = point_range([rubric.criteria[place].weight for place in known])
    results = tuple(
        _result(c, rubric.k_of(place, k), answers[place], worth[place], means[place])
        for place, c in enumerate(rubric.criteria)
    )
    missing = tuple(c.id for place, c in enumerate(rubric.criteria) if place not in known)
    table = Criteria(rubric.name, results, float(least), float(most), missing=missing)
    if least == most:  # nothing that counts has an answer
        return table
    failed = tuple(tuple(r.id for r in results if r.passed is not None and not r.passed[i]) for i in range(n))

    def points(values: Mapping[int, Sequence[Fraction]], i: int) -> Fraction:
        return sum((rubric.criteria[place].weight * values[place][i] for place in known), Fraction(0))

    def shares(values: Mapping[int, Sequence[Fraction]]) -> tuple[Fraction, ...]:
        return tuple((points(values, i) - least) / (most - least) if not failed[i] else Fraction(0) for i in range(n))

    whole = {place: mean for place in known if (mean := means[place]) is not None}
    total = shares(whole)
    indices = sorted({index for place in known for index in answers[place]})
    rows = [shares({place: worth[place].get(index, whole[place]) for place in known}) for index in indices]
    undecided = any(c.gate is not None and c.id in missing for c in rubric.criteria)
    return Criteria(
        rubric.name,
        results,
        float(least),
        float(most),
        points=tuple(float(points(whole, i)) for i in range(n)),
        shares=total,
        failed=failed,
        passed=tuple(_passed(rubric, share, bad, undecided) for share, bad in zip(total, failed, strict=True)),
        missing=missing,
        rows=tuple([float(share) for share in row] for row in rows),
        indices=tuple(indices),
        orders=tuple(_order(samples[index], rubric) for index in indices),
    )


def _answers(samples: Samples, place: int, n: int) -> dict[int, Sequence[float]]:
    """The valid answers to a criterion for all n responses, by the sample's index."""
    found: dict[int, Sequence[float]] = {}
    for index, parts in samples.items():
        order, scores = parts.get(place, ((), None))
        if scores is not None and len(order) == n:
            found[index] = scores
    return found


def _mean(rows: Sequence[Sequence[Fraction]]) -> tuple[Fraction, ...] | None:
    return tuple(sum(column, Fraction(0)) / len(rows) for column in zip(*rows, strict=True)) if rows else None


def _result(
    c: Criterion,
    k: int,
    answers: Mapping[int, Sequence[float]],
    worth: Mapping[int, Sequence[Fraction]],
    mean: tuple[Fraction, ...] | None,
) -> CriterionResult:
    if mean is None:
        return CriterionResult(c.id, float(c.weight), k, 0)
    columns = list(zip(*answers.values(), strict=True))
    gates = [c.passes(value) for value in mean]
    confidence = None
    if c.check is None:
        rows: list[ScoreRow] = [[float(value) for value in row] for row in worth.values()]
        values = [float(value) for value in mean]
        confidence = lead_confidence(rows, values.index(max(values)), scale_noise(0, 1))
    return CriterionResult(
        c.id,
        float(c.weight),
        k,
        len(answers),
        means=tuple(fsum(column) / len(column) for column in columns),
        worth=tuple(map(float, mean)),
        spread=tuple(_deviation(column) for column in zip(*worth.values(), strict=True)),
        confidence=confidence,
        passed=None if c.gate is None else tuple(bool(gate) for gate in gates),
    )


def _deviation(column: Sequence[Fraction]) -> float | None:
    if len(column) < 2:
        return None
    mean = sum(column, Fraction(0)) / len(column)
    return sqrt(sum(((value - mean) ** 2 for value in column), Fraction(0)) / (len(column) - 1))


def _passed(rubric: Rubric, share: Fraction, failed: tuple[str, ...], undecided: bool) -> bool | None:
    if rubric.threshold is None and all(c.gate is None for c in rubric.criteria):
        return None
    if failed or (rubric.threshold is not None and share < rubric.threshold):
        return False
    return None if undecided else True


def _order(parts: Mapping[int, Part], rubric: Rubric) -> tuple[int, ...]:
    """The order that a sample's responses were shown in: that of its first question to a model."""
    judged = [parts[place][0] for place in rubric.judged if place in parts]
    return judged[0] if judged else next(iter(parts.values()))[0]
