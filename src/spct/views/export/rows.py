"""A stored run as a table: a row for each item with its responses side by side, or a row for each response."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from spct.items.copies import responses_at_places
from spct.items.names import letter, letters
from spct.judges.settings import JudgeSettings
from spct.run import RunStore
from spct.run.stored import StoredItem, judge_text, stored_settings, template_of
from spct.turns import body_alone
from spct.types import Item, Judgment, Message, Truth
from spct.views.export.table import Cell, Column, RowCells, Table
from spct.views.export.typical import RULE, typical
from spct.views.item_text import ItemView
from spct.views.summary import summary_facts
from spct.views.table import graded
from spct.views.totals import Totals, added_up, totals_of
from spct.voting.criteria import PASSED
from spct.voting.verdict import Verdict, passes

Rows = Literal["items", "responses"]

ITEM = (
    Column("id", "Item", "word", "the id of the item"),
    Column("prompt", "Prompt", "text", "what the responses answer"),
)
VERDICT = (
    Column("verdict", "Best", "word", "the response that the vote puts first"),
    Column("level", "Level", "word", "the responses that share first place"),
    Column("order", "Order", "word", "all responses, best first; = stands between those that are level"),
    Column(
        "confidence",
        "Confidence",
        "share",
        "the estimated chance that the best one would still lead if the judge went on",
    ),
    Column("valid", "Valid", "count", "how many of the judgments could be voted on"),
    Column("known", "Known", "word", "what the item itself says is right"),
    Column(
        "outcome", "Outcome", "word", "the verdict against what is known: correct, wrong, tied, invalid (no verdict)"
    ),
)
REASONS = (
    Column("reasons", "Reasons", "text", "the critique of a typical judgment"),
    Column("criteria", "Criteria", "text", "the principles that this judgment went by, if it wrote any"),
    Column("problem", "Problem", "text", "why there is no verdict, or not all of it"),
)
RESPONSE = (
    Column("name", "Response", "word", "the letter of the response within its item"),
    Column("response", "Text", "text", "the response"),
    Column("judge_rank", "Rank", "count", "its place in the vote, from 1; responses that are level share one"),
    Column("judge_total", "Total", "number", "the sum of its scores"),
    Column("judge_mean", "Mean", "number", "the mean of its scores"),
    Column("judge_spread", "Spread", "number", "the standard deviation of its scores"),
    Column("judge_scored", "Scored", "count", "how many judgments scored it"),
)
POINTS = (
    Column("points", "Points", "number", "what it has of the rubric, in points"),
    Column("passed", "Passed", "word", "whether it passes the rubric: yes, no, or undecided"),
)
OWN = "item_"
"""In front of a key of the user's own where a column has that name already."""


def run_table(store: RunStore, rows: Rows = "items") -> Table:
    """The run's items as far as they are begun. Raises RunError where the run cannot be read."""
    most, extra = 0, dict[str, None]()
    for _, item in store.items():
        most = max(most, len(item.responses))
        extra.update(dict.fromkeys(item.extra))
    wide = tuple(_wide(i) for i in range(most))
    _, settings = stored_settings(store)
    body = (
        (*RESPONSE, *_by_part(settings))
        if rows == "responses"
        else tuple(column for part in zip(*wide, strict=True) for column in part)
    )
    columns = (
        *ITEM,
        *(body if rows == "responses" else ()),
        *VERDICT,
        *(() if rows == "responses" else body),
        *REASONS,
    )
    own = own_names(extra, {column.name for column in columns})
    found = _Export(store, rows, own, totals_of(store, settings))
    return Table(
        title=str(store.directory.name or store.directory),
        columns=(*columns, *(Column(name, key, "word", "a key of the item's own") for key, name in own.items())),
        rows=found.rows(),
        count=store.count("items") if rows == "items" else sum(len(item.responses) for _, item in store.items()),
        facts=found.facts,
    )


def own_names(keys: Iterable[str], taken: set[str]) -> dict[str, str]:
    """A column for each of the user's own keys, no two of one name: one would be shown in the other's place."""
    keys = list(keys)
    names = {key: key for key in keys if key not in taken}
    for key in keys:
        if key in taken:
            name = f"{OWN}{key}"
            while name in taken or name in names:
                name = f"{OWN}{name}"
            names[key] = name
            taken = taken | {name}
    return {key: names[key] for key in keys}


def _by_part(settings: JudgeSettings) -> tuple[Column, ...]:
    """What a response has of each criterion of a rubric, or by each judge of a jury."""
    criteria = () if settings.rubric is None else settings.rubric.criteria
    jurors = () if settings.jury is None else settings.jury.jurors
    return (
        *(POINTS if criteria else ()),
        *(Column(f"worth_{c.id}", c.id, "number", f"what it has of {c.id}, 0 to 1") for c in criteria),
        *(Column(f"mean_{j.name}", j.name, "number", f"its mean score by {j.name}") for j in jurors),
    )


def _wide(i: int) -> tuple[Column, ...]:
    """The columns of one response of an item."""
    name, title = letter(i).lower(), letter(i)
    return (
        Column(f"response_{name}", f"Response {title}", "text", f"the text of response {title}"),
        Column(f"rank_{name}", f"Rank {title}", "count", f"the place of {title} in the vote, from 1"),
        Column(f"total_{name}", f"Total {title}", "number", f"the sum of the scores of {title}"),
        Column(f"mean_{name}", f"Mean {title}", "number", f"the mean of the scores of {title}"),
    )


@dataclass(slots=True)
class _Export:
    """Goes through the run once, and adds up what the summary says."""

    store: RunStore
    form: Rows
    own: Mapping[str, str]
    totals: Totals

    def rows(self) -> Iterator[RowCells]:
        written, settings = stored_settings(self.store)
        for stored in added_up(self.store, self.totals):
            view = ItemView(template=template_of(self.store, written, settings, stored.item))
            shared = self._item(stored, view)
            if self.form == "items":
                yield shared | self._responses(stored)
            else:
                yield from (shared | self._response(stored, i) for i in range(len(stored.item.responses)))

    def facts(self) -> list[tuple[str, str]]:
        """What the run is, and what it adds up to."""
        written, settings = stored_settings(self.store)
        sessions = self.store.sessions()
        unfinished = self.totals.unfinished
        begun = [("unfinished", f"{unfinished:,} items are begun and without a verdict")] if unfinished else []
        return [
            ("run", str(self.store.directory)),
            ("judged", f"{sessions[-1][0][:16].replace('T', ' ')} UTC" if sessions else "-"),
            ("judge", f"{judge_text(written)}, {written.get('model')}"),
            ("template", str(written.get("template"))),
            *summary_facts(self.totals, settings),
            *begun,
            ("reasons", f"are those of a typical judgment: {RULE}"),
        ]

    def _item(self, stored: StoredItem, view: ItemView) -> dict[str, Cell]:
        """The cells that say something of the item as a whole."""
        item, verdict = stored.item, stored.verdict
        shown = typical(verdict)
        reasons, criteria = ("", "") if shown is None else _reasons(item, shown, view)
        return {
            "id": item.id,
            "prompt": conversation_text(item.messages),
            "verdict": None if verdict.best is None else letter(verdict.best),
            "level": letters(verdict.tied) or None,
            "order": _order(verdict),
            "confidence": verdict.confidence,
            "valid": passes(verdict),
            "known": None if item.truth is None else known_text(item.truth),
            "outcome": graded(verdict, item, self.totals.scale),
            "reasons": reasons or None,
            "criteria": criteria or item.principles,
            "problem": _problem(stored),
            **{name: _own(item.extra.get(key)) for key, name in self.own.items()},
        }

    def _responses(self, stored: StoredItem) -> dict[str, Cell]:
        cells: dict[str, Cell] = {}
        for i, text in enumerate(stored.item.responses):
            of_response = self._response(stored, i)
            cells[f"response_{letter(i).lower()}"] = str(text)  # of several turns it is more than a text
            for name in ("rank", "total", "mean"):
                cells[f"{name}_{letter(i).lower()}"] = of_response[f"judge_{name}"]
        return cells

    def _response(self, stored: StoredItem, i: int) -> dict[str, Cell]:
        verdict, text = stored.verdict, stored.item.responses[i]
        cells: dict[str, Cell] = {"name": letter(i), "response": str(text)}
        if verdict.means is not None and verdict.totals is not None and verdict.spread is not None:
            mean = verdict.means[i]
            cells |= {
                "judge_rank": 1 + sum(other > mean for other in verdict.means),
                "judge_total": verdict.totals[i],
                "judge_mean": mean,
                "judge_spread": verdict.spread[i],
            }
        cells["judge_scored"] = verdict.valid_N[i] if verdict.valid_N else None
        return {column.name: cells.get(column.name) for column in RESPONSE} | _parts(verdict, i)


def _parts(verdict: Verdict, i: int) -> dict[str, Cell]:
    """The cells of ``_by_part``."""
    cells: dict[str, Cell] = {}
    if (table := verdict.criteria) is not None and table.points:
        cells |= {"points": table.points[i], "passed": PASSED[table.passed[i]]}
        cells |= {f"worth_{r.id}": None if r.worth is None else r.worth[i] for r in table.results}
    if verdict.jury is not None:
        cells |= {f"mean_{r.name}": None if r.means is None else r.means[i] for r in verdict.jury.results}
    return cells


def _reasons(item: Item, judgment: Judgment, view: ItemView) -> tuple[str, str]:
    """The critique of a judgment, headed by which response it calls Response 1, and the principles it wrote."""
    parsed = view.parsed(judgment, item)
    critique = (parsed and parsed.critique) or judgment.text
    if len(item.responses) > 1:
        places = enumerate(responses_at_places(item, judgment), 1)
        named = "; ".join(f"Response {place} is {letters(responses)}" for place, responses in places)
        critique = f"[{named}]\n{critique}"
    return critique.strip(), ((parsed and parsed.principles) or "").strip()


def _order(verdict: Verdict) -> str | None:
    """``B > A = C``."""
    if verdict.ranking is None or verdict.means is None:
        return None
    text = ""
    for place, i in enumerate(verdict.ranking):
        if place:
            text += " = " if verdict.means[i] == verdict.means[verdict.ranking[place - 1]] else " > "
        text += letter(i)
    return text


def _problem(stored: StoredItem) -> str | None:
    error = stored.verdict.error
    if not stored.finished:
        return "the run has not finished this item"
    return None if error is None else f"{error.type}: {error.message}"


def conversation_text(messages: tuple[Message, ...]) -> str:
    """A lone question as it is; of several turns each under its role, with the calls of tools that it made."""
    if len(messages) == 1:
        return body_alone(messages[0])
    return "\n\n".join(f"[{message.role}]\n{body_alone(message)}" for message in messages)


def known_text(truth: Truth) -> str:
    """What is known in few words: the letter of the best, ``tie``, a label or a grade, values by letter."""
    values = truth.values_N
    if not values:
        return "people are divided"
    if truth.kind in ("label", "grade"):
        return f"{values[0]:g}"
    if truth.kind in ("best", "pair"):
        return "tie" if truth.best is None else letter(truth.best)
    return ", ".join(f"{letter(i)}: {value:g}" for i, value in enumerate(values))


def _own(value: Any) -> Cell:
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return orjson.dumps(value, default=str).decode()
