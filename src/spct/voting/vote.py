"""Judgments -> Verdict: the vote over k judgments (arXiv 2504.02495, Eq 14), its ties and its confidence.

``vote`` is the arithmetic on plain rows of scores; ``decide`` takes an item's judgments and always returns a
Verdict, one without a ranking and with the reason if nothing can be voted on. Nothing here invents a score: an invalid
judgment is kept, counted and left out.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import fsum, sqrt
from typing import Required, TypedDict, get_args

from spct.errors import InputError
from spct.rubrics.rubric import Rubric
from spct.types import ItemError, Judgment, Usage
from spct.voting.by_criterion import criteria_of
from spct.voting.by_juror import jury_table
from spct.voting.confidence import lead_confidence
from spct.voting.jury import Jury
from spct.voting.noise import TEN_POINTS
from spct.voting.rows import ScoreRow, rows_of, samples_by_block, scored_N
from spct.voting.verdict import Rule, Tally, TieRule, Verdict

Means = tuple[float, ...]

_NO_USAGE = Usage()
_TIE_RULES: tuple[str, ...] = get_args(TieRule)


def vote(
    scores_KN: Sequence[ScoreRow],  # noqa: N803
    *,
    tie_rule: TieRule = "random",
    seed_key: str = "",
    noise: float = TEN_POINTS,
    exact_N: Sequence[Fraction] | None = None,  # noqa: N803
) -> Tally:
    """Vote over K rows of N scores; None in a row is a response that the row does not score.

    Ranks by means. Where each row scores each response that is the paper's ranking by totals; where one does not, a
    score that is missing must not count as 0. Integer scores keep integer totals. Ties are broken by place in the item
    ("first", "last") or, as in the paper, by a shuffle before the argmax ("random"), whose order depends on ``seed_key``
    and N alone. ``noise`` is the judge's, for the confidence. ``exact_N`` are the means where they are known more exactly
    than the rows add up, so that equal is equal. Raises InputError for no rows, rows of unequal length, or a
    response that no row scores.
    """
    if tie_rule not in _TIE_RULES:
        raise InputError(f"tie rule {tie_rule!r}: expected one of {', '.join(_TIE_RULES)}")
    columns = _columns(scores_KN)
    if not columns:
        raise InputError("vote: got no scores; expected at least one row with at least one score")
    if missing := [i for i, column in enumerate(columns) if not column]:
        raise InputError(f"vote: no row scores response {missing[0]} (of {len(columns)}); expected at least one each")
    totals = tuple([_total(column) for column in columns])
    means = tuple([total / len(column) for total, column in zip(totals, columns, strict=True)])
    if exact_N is not None:
        means = tuple(map(float, exact_N))
    ranking, tied = _rank(means, tie_rule, seed_key)
    return Tally(
        best=ranking[0],
        ranking=ranking,
        totals=totals,
        means=means,
        spread=tuple([_deviation(column, total) for column, total in zip(columns, totals, strict=True)]),
        counts=tuple([len(column) for column in columns]),
        tied=tied,
        confidence=lead_confidence(scores_KN, ranking[0], noise),
    )


def row_means(scores_KN: Sequence[ScoreRow]) -> Means | None:  # noqa: N803
    """The means that ``vote`` ranks by, without the rest; None where some response is scored by no row.

    Raises InputError for rows of unequal length.
    """
    columns = _columns(scores_KN)
    return tuple([_total(column) / len(column) for column in columns]) if columns and all(columns) else None


def _columns(scores_KN: Sequence[ScoreRow]) -> list[list[float]]:  # noqa: N803
    if len(lengths := {len(row) for row in scores_KN}) > 1:
        raise InputError(f"vote: got rows of {sorted(lengths)} scores; expected equal lengths")
    return [[score for score in column if score is not None] for column in zip(*scores_KN, strict=True)]


def _total(column: list[float]) -> float:
    total = sum(column)
    return total if isinstance(total, int) else fsum(column)  # fsum: the same in whatever order samples finish


def _deviation(column: list[float], total: float) -> float | None:
    count = len(column)
    if count < 2:
        return None
    squares = count * sum([score * score for score in column]) - total * total  # exact for integers
    return sqrt(max(0.0, squares / (count * (count - 1))))


def _rank(values: tuple[float, ...], tie_rule: TieRule, seed_key: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the ranking, and who shares first place (() if nobody does)."""
    places = list(range(len(values)))
    if len(set(values)) < len(values):
        if tie_rule == "random":
            random.Random(seed_key).shuffle(places)
        elif tie_rule == "last":
            places.reverse()
    ranking = tuple(sorted(places, key=lambda i: -values[i]))
    tied = tuple([i for i, value in enumerate(values) if value == values[ranking[0]]])
    return ranking, tied if len(tied) > 1 else ()


class VoteOptions(TypedDict, total=False):
    """The keyword arguments of ``decide``."""

    id: Required[str]
    n: Required[int]
    k: Required[int]
    rule: Rule
    tie_rule: TieRule
    seed: int
    temperature: float
    usage: Usage
    error: ItemError | None
    noise: float
    rubric: Rubric | None
    jury: Jury | None


def decide(
    judgments: Sequence[Judgment],
    *,
    id: str,
    n: int,
    k: int,
    rule: Rule = "sum",
    tie_rule: TieRule = "random",
    seed: int = 0,
    temperature: float = 0.5,
    usage: Usage = _NO_USAGE,
    error: ItemError | None = None,
    noise: float = TEN_POINTS,
    rubric: Rubric | None = None,
    jury: Jury | None = None,
) -> Verdict:
    """Turn an item's judgments into its Verdict. Never raises for what was sampled.

    ``seed`` and ``id`` make the order of a random tie-break. ``temperature`` 0 turns the counting of duplicates off.
    ``error`` says why some judgments are missing; the vote is held over those that are there. ``noise`` is the judge's,
    for the confidence. With a ``rubric``, judgments are answers under it (``by_criterion``),
    with a ``jury`` they are of several judges (``by_juror``). Without a verdict the error's
    type is "NoValidJudgment" (no response, or not every one, was validly scored) or "NoExpectedScore" (rule "expected" and
    some valid judgment lacks it).
    """
    valid = [judgment for judgment in judgments if judgment.problem is None]
    samples = samples_by_block(judgments)
    valid_N = scored_N(samples, n)  # noqa: N806
    criteria = None if rubric is None else criteria_of(samples, n, rubric, k)
    table = None if jury is None else jury_table(samples, n, jury)
    rows: Sequence[ScoreRow] | None
    if table is not None:
        rows, exact, noise = table.rows, table.exact_N, table.noise
    elif criteria is not None:
        rows, exact = criteria.rows, criteria.shares
    else:
        rows, exact = rows_of(judgments, n, rule), None
    tally = None
    if rows is None:
        error = error or _no_expected(valid)
    elif min(valid_N, default=0) == 0 or not rows:
        error = error or _no_valid(judgments, valid_N)
    else:
        tally = vote(rows, tie_rule=tie_rule, seed_key=f"{seed}:{id}", noise=noise, exact_N=exact)
    verdict = Verdict(
        id=id,
        n=n,
        k=k,
        rule=rule,
        tie_rule=tie_rule,
        valid_N=valid_N,
        valid=len(valid),
        invalid=len(judgments) - len(valid),
        judgments=tuple(judgments),
        duplicates=count_duplicates(judgments) if temperature > 0 else 0,
        criteria=criteria,
        jury=table,
        usage=usage,
        error=error,
    )
    if tally is None:
        return verdict
    return replace(
        verdict,
        best=tally.best,
        ranking=tally.ranking,
        totals=tally.totals,
        means=tally.means,
        spread=tally.spread,
        tied=tally.tied,
        confidence=tally.confidence,
    )


def count_duplicates(judgments: Sequence[Judgment]) -> int:
    """Count completions that repeat an earlier, non-empty one of the same prompt (equal order and block) word for word.

    With sampling on, more than a rare one means that the server ignores or copies the seed: k samples are then fewer.
    """
    texts = [judgment.text for judgment in judgments]
    if len(set(texts)) == len(texts):
        return 0
    seen = [(j.order, j.block, j.text, j.reasoning) for j in judgments if j.text]
    return len(seen) - len(set(seen))


def _no_expected(valid: Sequence[Judgment]) -> ItemError:
    lacking = [judgment for judgment in valid if judgment.expected is None]
    causes = Counter(judgment.no_expected or "no log-probabilities were asked for" for judgment in lacking)
    cause, _ = causes.most_common(1)[0]
    return ItemError(
        "NoExpectedScore",
        f"{len(lacking)} of {len(valid)} valid judgments have no expected score, and the two kinds are never mixed "
        f"({cause}); the rule sum or mean needs none",
    )


def _no_valid(judgments: Sequence[Judgment], valid_N: tuple[int, ...]) -> ItemError:  # noqa: N803
    codes = Counter(judgment.problem.code for judgment in judgments if judgment.problem is not None)
    causes = ", ".join(f"{code} {count}" for code, count in sorted(codes.items(), key=lambda c: (-c[1], c[0])))
    unscored = [str(i) for i, count in enumerate(valid_N) if count == 0]
    if not unscored:
        return ItemError(
            "NoValidJudgment",
            f"the {len(judgments)} judgments score every response, and none of them can be voted on: of a jury, one judge has to "
            "score them all (and two or more, for ranks); of a rubric, a criterion with points has to be answered",
        )
    what = "all responses" if len(unscored) == len(valid_N) else f"response {', '.join(unscored)}"
    cure = "raise max_tokens if they are truncated, turn the grammar on, or raise retries"
    if told := next((j.problem.detail for j in judgments if j.problem and j.problem.code == "only_reasoning"), None):
        cure = told
    return ItemError(
        "NoValidJudgment",
        f"none of the {len(judgments)} judgments validly scores {what} ({causes or 'nothing was sampled'}); {cure}",
    )
