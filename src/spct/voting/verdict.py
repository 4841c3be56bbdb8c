"""What a vote came to: the tally over rows of scores, the verdict on an item, and both as a row, in words and as HTML.

Nothing is decided here. Everything that an item, a model or a server wrote is made harmless before it is shown, and
escaped in HTML, also inside attributes. The HTML has inline styles only, colours that sit on light and on dark alike,
and no script.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

import orjson

from spct.harmless import line, lines
from spct.types import ItemError, Judgment, Usage
from spct.voting.criteria import Criteria, criteria_rows, missing_sentence
from spct.voting.jury import JuryTable, jury_rows, jury_sentence
from spct.wording import by_cause, count

Rule = Literal["sum", "mean", "expected"]
TieRule = Literal["random", "first", "last"]

Name = Callable[[int], str]
"""What a response is called by its index: the index itself in Python, a letter where people read."""

TIE_RULES = {
    "random": "a seeded shuffle decides",
    "first": "the first of them in the item wins",
    "last": "the last of them in the item wins",
}
RULES = {"sum": "sum of scores", "mean": "mean score", "expected": "expected score"}

TITLES = ("rank", "response", "total", "mean", "spread", "valid")
MOST_JUDGMENTS = 8
MOST_CHARACTERS = 4000

_BOX = "font-family:system-ui,sans-serif;font-size:13px;line-height:1.45;max-width:52em;color:inherit"
_CELL = (
    "padding:2px 14px 2px 0;text-align:right;border:none;background:none;color:inherit;"
    "font-variant-numeric:tabular-nums"
)
_RULE = "border-bottom:1px solid rgba(128,128,128,.45)"
_PRE = (
    "white-space:pre-wrap;overflow-wrap:anywhere;font-size:12px;margin:4px 0 8px;padding:6px 10px;color:inherit;"
    "background:rgba(128,128,128,.12);border:none;border-radius:4px;max-height:24em;overflow:auto"
)
_BAR = "display:inline-block;height:9px;border-radius:2px;vertical-align:middle"
_TABLE = "border-collapse:collapse;border:none;margin:6px 0;font-size:13px;color:inherit;background:none"
_QUIET = "opacity:.75"

_NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Tally:
    """The outcome of a vote over n responses; every tuple but ``ranking`` and ``tied`` is in item order.

    ``ranking`` is best first. ``spread`` is the sample standard deviation (n - 1 below) over the rows that score a
    response, None where only one does. ``counts`` is the number of those rows. ``tied`` are the responses that share
    first place, ``best`` among them, and () if it is alone there.
    """

    best: int
    ranking: tuple[int, ...]
    totals: tuple[float, ...]
    means: tuple[float, ...]
    spread: tuple[float | None, ...]
    counts: tuple[int, ...]
    tied: tuple[int, ...]
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The vote over an item's judgments, or the reason there is none.

    ``k`` judgments were planned; ``valid`` and ``invalid`` count all completions, resampled ones included, so their sum
    may exceed k. ``best``, ``ranking``, ``totals``, ``means`` and ``spread`` are as in ``Tally``, and None without a
    verdict; ``valid_N`` says in how many of the k judgments each response was scored (a lost block scores none of its
    own). ``error`` is set where there is no verdict, and also where part of the judgments could not be sampled.
    ``confidence`` is the chance that ``best`` would still lead this judge's vote were sampling continued; it says
    nothing about being right. ``duplicates`` counts completions that repeat an earlier one of the same prompt.
    ``kept`` are the indices of the judgments that a meta RM's ratings let into the vote, None if it was over all;
    ``unrated`` counts valid judgments that could not be rated. ``criteria`` is what the responses have of a rubric, of
    which ``means`` are then the shares of the points, ``jury`` what each of several judges said; None without one.
    """

    id: str
    n: int
    k: int
    rule: Rule
    tie_rule: TieRule
    valid_N: tuple[int, ...]
    valid: int
    invalid: int
    best: int | None = None
    ranking: tuple[int, ...] | None = None
    totals: tuple[float, ...] | None = None
    means: tuple[float, ...] | None = None
    spread: tuple[float | None, ...] | None = None
    tied: tuple[int, ...] = ()
    confidence: float | None = None
    error: ItemError | None = None
    duplicates: int = 0
    kept: tuple[int, ...] | None = None
    unrated: int = 0
    criteria: Criteria | None = None
    jury: JuryTable | None = None
    usage: Usage = _NO_USAGE
    judgments: tuple[Judgment, ...] = field(default=(), repr=False)

    @property
    def sampled(self) -> int:
        """How many of the k planned judgments were sampled: fewer than k where adaptive k settled the winner."""
        return len({judgment.index for judgment in self.judgments})

    def __str__(self) -> str:
        return verdict_text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return verdict_html(self)

    def as_row(self) -> dict[str, Any]:
        """Return the line of ``spct judge --json`` as a dict; null where there is no verdict."""
        error = self.error and {"type": self.error.type, "message": self.error.message}
        return {
            "id": self.id,
            "best": self.best,
            "ranking": _listed(self.ranking),
            "totals": _listed(self.totals),
            "means": _listed(self.means),
            "spread": _listed(self.spread),
            "k": self.k,
            "valid": self.valid,
            "invalid": self.invalid,
            "tied": list(self.tied),
            "confidence": self.confidence,
            "error": error,
            **({} if self.criteria is None else {"criteria": self.criteria.as_row()}),
            **({} if self.jury is None else {"jury": self.jury.as_row()}),
        }

    def to_json(self) -> str:
        """Return ``as_row`` as one line of JSON, without the line end."""
        return orjson.dumps(self.as_row()).decode()


def _listed(values: tuple[Any, ...] | None) -> list[Any] | None:
    return None if values is None else list(values)


def passes(verdict: Verdict) -> int:
    """How many of the k judgments are valid; those made in several parts count once."""
    return len({judgment.index for judgment in verdict.judgments if judgment.problem is None})


def verdict_text(verdict: Verdict) -> str:
    """The verdict in a few lines, for ``print``."""
    return "\n".join([headline(verdict), *vote_table(verdict), *remarks(verdict)])


def vote_table(verdict: Verdict, name: Name = str) -> list[str]:
    """The responses, best first, and below them ``more_tables``, as lines of aligned columns."""
    table = response_rows(verdict, name)
    lines_of = aligned([TITLES, *table]) if table else []
    for more in more_tables(verdict, name):
        lines_of += aligned(more)
    return lines_of


def more_tables(verdict: Verdict, name: Name = str, order: Sequence[int] | None = None) -> list[list[tuple[str, ...]]]:
    """What the responses have of a rubric, what each judge of a jury said; the heads first in each.

    The last columns are the responses', in this ``order``: the best first if none is given.
    """
    order = order or verdict.ranking or range(verdict.n)
    criteria = [] if verdict.criteria is None else [criteria_rows(verdict.criteria, order, name)]
    return criteria if verdict.jury is None else [*criteria, jury_rows(verdict.jury, order, name)]


def headline(verdict: Verdict, name: Name | None = None) -> str:
    """What came out, on one line; ``name`` gives responses the names that they go by there."""
    id = line(verdict.id)
    if verdict.best is None:
        return f"{id}: no verdict"
    if verdict.n == 1:
        assert verdict.means is not None
        return f"{id}: the response scores {verdict.means[0]:.2f}"
    confidence = "" if verdict.confidence is None else f", confidence {verdict.confidence:.2f}"
    best = f"{verdict.best} is best of {verdict.n} (numbered from 0)"
    if name is not None:
        best = f"{name(verdict.best)} is best of {verdict.n}"
    return f"{id}: response {best}{confidence}"


def response_rows(verdict: Verdict, name: Name = str) -> list[tuple[str, ...]]:
    """Rank, response, total, mean, spread and valid scores of each response, best first; [] without a verdict.

    Responses with equal votes share a rank.
    """
    if verdict.ranking is None or verdict.totals is None or verdict.means is None or verdict.spread is None:
        return []
    rows: list[tuple[str, ...]] = []
    for i in verdict.ranking:
        rank = 1 + sum(mean > verdict.means[i] for mean in verdict.means)
        spread = verdict.spread[i]
        valid = verdict.valid_N[i] if verdict.valid_N else verdict.valid
        rows.append(
            (
                str(rank),
                name(i),
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


def remarks(verdict: Verdict, name: Name = str) -> list[str]:
    """How the vote was held, ties, what the confidence means, what failed; one sentence each."""
    what = (
        RULES[verdict.rule] if verdict.criteria is None else f"share of the points of {line(verdict.criteria.rubric)}"
    )
    parts = [] if verdict.best is None else [f"{what}, {_judgments(verdict)}"]
    if verdict.kept is not None:
        unrated = f"; {count(verdict.unrated, 'judgment')} could not be rated" if verdict.unrated else ""
        which = ", ".join(map(str, verdict.kept)) or "none"
        parts.append(f"the vote is over the judgments that the meta RM rates best: {which}{unrated}")
    if verdict.criteria is not None and (sentence := missing_sentence(verdict.criteria)) is not None:
        parts.append(sentence)
    if verdict.jury is not None and verdict.best is not None:
        parts.append(jury_sentence(verdict.jury))
    if verdict.tied:
        tied = " and ".join([", ".join(map(name, verdict.tied[:-1])), name(verdict.tied[-1])])
        parts.append(
            f'responses {tied} tie for first place; tie rule "{verdict.tie_rule}": {TIE_RULES[verdict.tie_rule]}'
        )
    if (said := confidence_sentence(verdict, name)) is not None:
        parts.append(said)
    if verdict.duplicates:
        repeats = "repeats" if verdict.duplicates == 1 else "repeat"
        repeated = f"{count(verdict.duplicates, 'judgment')} {repeats} an earlier one word for word"
        parts.append(f"{repeated}: less evidence than it seems")
    if verdict.error is not None:
        parts.append(f"{line(verdict.error.type)}: {line(verdict.error.message)}")
    return parts


def confidence_sentence(verdict: Verdict, name: Name = str) -> str | None:
    """What the confidence says and what it does not; None where there is none."""
    if verdict.confidence is None or verdict.best is None:
        return None
    return (
        f"confidence {verdict.confidence:.2f}: the estimated chance that response {name(verdict.best)} would still lead if "
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


def verdict_html(verdict: Verdict) -> str:
    """A small table of the responses, best first, the remarks, and the judgments folded away."""
    parts = [f'<div style="{_BOX}">', f'<div style="font-weight:600">{escape(headline(verdict))}</div>']
    parts += _table(verdict)
    for more in more_tables(verdict):
        parts += _plain_table(more)
    parts += [f'<div style="{_QUIET}">{escape(remark)}</div>' for remark in remarks(verdict)]
    parts += [_judgment(judgment) for judgment in verdict.judgments[:MOST_JUDGMENTS]]
    if (rest := len(verdict.judgments) - MOST_JUDGMENTS) > 0:
        parts.append(f'<div style="{_QUIET}">{rest} more in verdict.judgments</div>')
    return "\n".join([*parts, "</div>"])


def _table(verdict: Verdict) -> list[str]:
    rows = response_rows(verdict)
    if not rows:
        return []
    assert verdict.means is not None and verdict.ranking is not None
    most = max(abs(mean) for mean in verdict.means) or 1.0
    titles = "".join(f'<th style="{_CELL};{_RULE};font-weight:600">{title}</th>' for title in [*TITLES, ""])
    body = []
    for row, i in zip(rows, verdict.ranking, strict=True):
        weight = ";font-weight:600" if i == verdict.best else ""
        cells = "".join(f'<td style="{_CELL}{weight}">{escape(cell)}</td>' for cell in row)
        colour = "rgba(46,160,67,.85)" if i == verdict.best else "rgba(128,128,128,.55)"
        bar = f'<span style="{_BAR};width:{160 * max(0.0, verdict.means[i]) / most:.0f}px;background:{colour}"></span>'
        body.append(f'<tr style="background:none">{cells}<td style="{_CELL};text-align:left">{bar}</td></tr>')
    return [
        f'<table style="{_TABLE}">',
        f'<thead><tr style="background:none">{titles}</tr></thead>',
        "<tbody>",
        *body,
        "</tbody></table>",
    ]


def _plain_table(rows: list[tuple[str, ...]]) -> list[str]:
    def cells(row: tuple[str, ...], kind: str) -> str:
        return "".join(f'<{kind} style="{_CELL}">{escape(cell)}</{kind}>' for cell in row)

    titles, *body = rows
    return [
        f'<table style="{_TABLE}">',
        f'<thead><tr style="background:none">{cells(titles, "th")}</tr></thead>',
        "<tbody>",
        *(f'<tr style="background:none">{cells(row, "td")}</tr>' for row in body),
        "</tbody></table>",
    ]


def _judgment(judgment: Judgment) -> str:
    text = "\n".join(lines(judgment.text[:MOST_CHARACTERS]))
    cut = " …" if len(judgment.text) > MOST_CHARACTERS else ""
    return (
        f'<details style="margin:2px 0"><summary style="cursor:pointer">{escape(judgment_title(judgment))}</summary>'
        f'<pre style="{_PRE}">{escape(text)}{cut}</pre></details>'
    )


def judgment_title(judgment: Judgment) -> str:
    """``judgment 2: response 0: 6, response 1: 8``, or why it is invalid."""
    again = f", retry {judgment.attempt}" if judgment.attempt else ""
    if judgment.scores is None:
        reason = "" if judgment.problem is None else f", {judgment.problem.code}: {line(judgment.problem.detail)}"
        return f"judgment {judgment.index}{again}: invalid{reason}"
    scores = zip(sorted(judgment.order), judgment.scores, strict=True)
    return f"judgment {judgment.index}{again}: " + ", ".join(f"response {i}: {score:g}" for i, score in scores)
