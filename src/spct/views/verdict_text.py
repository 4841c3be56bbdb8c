"""A verdict in words: a sentence, a small table of its responses, and what to be careful about."""

from __future__ import annotations

from collections import Counter

from spct.views.summary import RULES, TIE_RULES, by_cause, count
from spct.views.surface import line
from spct.views.table import passes
from spct.vote import Verdict

TITLES = ("rank", "response", "total", "mean", "spread", "valid")


def verdict_text(verdict: Verdict) -> str:
    """The verdict in a few lines, for ``print``."""
    table = response_rows(verdict)
    return "\n".join([headline(verdict), *aligned([TITLES, *table] if table else []), *remarks(verdict)])


def headline(verdict: Verdict) -> str:
    """What came out, on one line."""
    name = line(verdict.id)
    if verdict.best is None:
        return f"{name}: no verdict"
    if verdict.n == 1:
        assert verdict.means is not None
        return f"{name}: the response scores {verdict.means[0]:.2f}"
    confidence = "" if verdict.confidence is None else f", confidence {verdict.confidence:.2f}"
    return f"{name}: response {verdict.best} is best of {verdict.n} (numbered from 0){confidence}"


def response_rows(verdict: Verdict) -> list[tuple[str, ...]]:
    """Rank, response, total, mean, spread and valid scores of each response, best first; [] without a verdict.

    Responses with equal votes share a rank.
    """
    if verdict.ranking is None or verdict.totals is None or verdict.means is None or verdict.spread is None:
        return []
    values = verdict.totals if verdict.rule == "sum" else verdict.means
    rows: list[tuple[str, ...]] = []
    for i in verdict.ranking:
        rank = 1 + sum(value > values[i] for value in values)
        spread = verdict.spread[i]
        valid = verdict.valid_N[i] if verdict.valid_N else verdict.valid
        rows.append(
            (
                str(rank),
                str(i),
                number(verdict.totals[i]),
                f"{verdict.means[i]:.2f}",
                "-" if spread is None else f"{spread:.2f}",
                str(valid),
            )
        )
    return rows


def number(value: float) -> str:
    """Whole totals without decimals."""
    return str(int(value)) if float(value).is_integer() else f"{value:.2f}"


def aligned(table: list[tuple[str, ...]]) -> list[str]:
    """Rows with right-aligned columns, indented by two."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table]


def remarks(verdict: Verdict) -> list[str]:
    """How the vote was held, ties, what the confidence means, what failed; one sentence each."""
    parts = [] if verdict.best is None else [f"{RULES[verdict.rule]}, {_judgments(verdict)}"]
    if verdict.kept is not None:
        unrated = f"; {count(verdict.unrated, 'judgment')} could not be rated" if verdict.unrated else ""
        which = ", ".join(map(str, verdict.kept)) or "none"
        parts.append(f"the vote is over the judgments that the meta RM rates best: {which}{unrated}")
    if verdict.tied:
        tied = " and ".join([", ".join(map(str, verdict.tied[:-1])), str(verdict.tied[-1])])
        parts.append(
            f'responses {tied} tie for first place; tie rule "{verdict.tie_rule}": {TIE_RULES[verdict.tie_rule]}'
        )
    if (sentence := confidence_sentence(verdict)) is not None:
        parts.append(sentence)
    if verdict.duplicates:
        repeats = "repeats" if verdict.duplicates == 1 else "repeat"
        said = f"{count(verdict.duplicates, 'judgment')} {repeats} an earlier one word for word"
        parts.append(f"{said}: less evidence than it seems")
    if verdict.error is not None:
        parts.append(f"{line(verdict.error.type)}: {line(verdict.error.message)}")
    return parts


def confidence_sentence(verdict: Verdict) -> str | None:
    """What the confidence says and what it does not; None where there is none."""
    if verdict.confidence is None or verdict.best is None:
        return None
    return (
        f"confidence {verdict.confidence:.2f}: the estimated chance that response {verdict.best} would still lead if "
        "this judge went on sampling, not the chance that the judge is right"
    )


def _judgments(verdict: Verdict) -> str:
    text = f"{passes(verdict)} of k = {verdict.k} judgments valid"
    if not verdict.invalid:
        return text
    causes: Counter[str] = Counter(
        judgment.problem.code for judgment in verdict.judgments if judgment.problem is not None
    )
    return f"{text}, {count(verdict.invalid, 'completion')} invalid" + (f" ({by_cause(causes)})" if causes else "")
