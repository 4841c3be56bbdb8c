"""What the page of an item shows: conversation, responses, the matrix of scores, each judgment, and the vote explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from markupsafe import Markup

from spct.items.copies import responses_at_places
from spct.items.names import letter
from spct.measures.case import Scale
from spct.run import RunStore
from spct.run.reader import Request
from spct.run.stored import StoredItem, first_texts, stored_item, stored_scale, stored_settings, template_of
from spct.templates import Template
from spct.turns import Message, Trajectory
from spct.types import Item, Judgment
from spct.view.costs import cost_of
from spct.view.markup import MOST_SHOWN, Text, as_it_is, markdown, raw, tinted
from spct.views.item_text import IMAGE_SHOWN, facts_of, parsed_by, title_of, truth_text
from spct.views.table import graded
from spct.voting.ratings import Place, place_of
from spct.voting.verdict import more_tables, remarks
from spct.wording import spell_seconds

LEVELS = 10
"""Steps of the colour of a score, beside the lowest."""


Turns = list[tuple[str, Text, dict[str, Markup]]]
"""Role, text, and what else there is of each turn."""


@dataclass(frozen=True, slots=True)
class Score:
    """A response's score in one judgment: ``level`` is its colour, ``place`` where it was shown, from 1."""

    response: int
    value: float | None
    level: int | None
    place: int
    expected: float | None = None
    unresolved: float | None = None


@dataclass(frozen=True, slots=True)
class JudgmentView:
    """One judgment, whose ``title`` is its number and what else tells it apart.

    ``principles`` and ``critique`` are None where nothing tells them apart: ``answer`` is then all of it.
    """

    key: str
    title: str
    facts: str
    problem: str | None
    scores: Mapping[int, Score]
    places: Sequence[tuple[int, ...]]
    principles: Text | None
    critique: Text | None
    answer: Text | None
    form: str | None
    no_expected: str | None
    rating: str | None
    kept: bool | None


@dataclass(frozen=True, slots=True)
class JudgmentDetail:
    """What stands behind a judgment: its exact prompt, completion and reasoning."""

    prompt: list[tuple[str, Text]]
    completion: Text
    reasoning: Text | None


@dataclass(frozen=True, slots=True)
class ResponseView:
    """A response with its part in the vote; ``rank`` 1 is best, and None without a verdict."""

    index: int
    text: Text
    turns: Turns
    characters: int
    known_best: bool
    voted_best: bool
    rank: int | None
    total: float | None
    mean: float | None
    spread: float | None
    scored: int | None


@dataclass(frozen=True, slots=True)
class ItemPage:
    position: int
    id: str
    finished: bool
    messages: Turns
    responses: list[ResponseView]
    others: list[tuple[str, Text]]
    judgments: list[JudgmentView]
    grade: str | None
    truth: str | None
    remarks: list[str]
    tables: list[list[tuple[str, ...]]]
    extra: list[tuple[str, str]]
    confidence: float | None
    tied: tuple[int, ...]
    spent: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Blind:
    """An item as a labeller sees it."""

    messages: Turns
    responses: list[tuple[Text, Turns]]
    others: list[tuple[str, Text]]


class ItemReader:
    """Reads items of one open run for their pages.

    ``raw`` shows texts as they are, not as Markdown; ``longest`` is how many characters of a text are shown. ``prices``
    say where those of the model are, if anything does.
    """

    def __init__(
        self, store: RunStore, *, raw: bool = False, longest: int = MOST_SHOWN, prices: str | None = None
    ) -> None:
        self._store = store
        self._prices = prices
        self._raw = raw
        self._longest = longest
        self.written, self.settings = stored_settings(store)
        self._scale = stored_scale(store, self.settings)

    def stored(self, position: int, verdict: Mapping[str, Any] | None) -> StoredItem:
        """The item at ``position`` with its verdict as stored, None if it has none yet."""
        item = self._store.item(position)
        return stored_item(self._store, self.settings, position, item, verdict, self.written.get("meta"))

    def page(self, stored: StoredItem) -> ItemPage:
        """Everything but what ``detail`` has."""
        item, verdict = stored.item, stored.verdict
        template = template_of(self._store, self.written, self.settings, item)
        requests = self._requests(stored.position)
        others = {
            "reference answer": item.reference,
            "principles given with the item": item.principles,
            **{first.title: first.text for first in first_texts(self._store, self.settings, stored)},
        }
        return ItemPage(
            position=stored.position,
            id=item.id,
            finished=stored.finished,
            messages=self._turns(item.messages),
            responses=[self._response(stored, i) for i in range(len(item.responses))],
            others=[(title, self._text(text)) for title, text in others.items() if text],
            judgments=[self._judgment(j, stored, template(j.block), requests) for j in verdict.judgments],
            grade=graded(verdict, item, self._scale) if stored.finished else None,
            truth=None if item.truth is None else truth_text(item.truth),
            remarks=remarks(verdict, letter),
            tables=more_tables(verdict, letter, range(verdict.n)),
            extra=[(key, _plainly(value)) for key, value in item.extra.items()],
            confidence=verdict.confidence,
            tied=verdict.tied,
            spent=self._spent(stored.position),
        )

    def blind(self, item: Item, order: Sequence[int]) -> Blind:
        """The item without anything that a judge or its file says of the responses, which stand in ``order``."""
        others = [("reference answer", self._text(item.reference))] if item.reference else []
        return Blind(
            self._turns(item.messages),
            [(self._text(item.responses[i]), self._several(item.responses[i])) for i in order],
            others,
        )

    def detail(self, stored: StoredItem, key: str) -> JudgmentDetail | None:
        """What stands behind the judgment ``key``; None where there is no such judgment."""
        found = next((j for j in stored.verdict.judgments if key_of(j) == key), None)
        if found is None:
            return None
        request = self._requests(stored.position).get(place_of(found))
        places = responses_at_places(stored.item, found)
        return JudgmentDetail(
            prompt=[] if request is None else [(m.role, as_it_is(m.content)) for m in request.prompt],
            completion=as_it_is(found.text),
            reasoning=None if not found.reasoning else self._text(found.reasoning, places),
        )

    def _spent(self, position: int) -> list[tuple[str, str]]:
        """Tokens, time and cost of all requests about an item, those that are known."""
        usage = self._store.usage(position)
        if not usage.prompt_tokens and not usage.completion_tokens:
            return []
        found = [("tokens in", f"{usage.prompt_tokens:,}"), ("tokens out", f"{usage.completion_tokens:,}")]
        if usage.seconds:
            found.append(("time of its requests", spell_seconds(usage.seconds)))
        if self._prices is not None:
            found.append(("cost", cost_of(self._prices, self.written, self._store.sessions(), usage).words))
        return found

    def _turns(self, turns: Sequence[Message]) -> Turns:
        return [(turn.role, self._text(turn.content), _more(turn)) for turn in turns]

    def _several(self, response: str) -> Turns:
        """The turns of a response of several, or that calls tools; [] of one that is a text."""
        return self._turns(response.turns) if isinstance(response, Trajectory) else []

    def _requests(self, position: int) -> dict[Place, Request]:
        return {place: request for request in self._store.requests(position) for place in request.places}

    def _text(self, text: str, places: Sequence[tuple[int, ...]] = ()) -> Text:
        shown = text[: self._longest]
        html = raw(shown) if self._raw else markdown(shown)
        return Text(tinted(html, places) if places else html, len(text) if len(text) > len(shown) else None)

    def _response(self, stored: StoredItem, i: int) -> ResponseView:
        item, verdict = stored.item, stored.verdict
        means, spread = verdict.means, verdict.spread
        return ResponseView(
            index=i,
            text=self._text(item.responses[i]),
            turns=self._several(item.responses[i]),
            characters=len(item.responses[i]),
            known_best=item.best == i and len(item.responses) > 1,
            voted_best=verdict.best == i and len(item.responses) > 1,
            rank=None if means is None else 1 + sum(mean > means[i] for mean in means),
            total=None if verdict.totals is None else verdict.totals[i],
            mean=None if means is None else means[i],
            spread=None if spread is None else spread[i],
            scored=verdict.valid_N[i] if verdict.valid_N else None,
        )

    def _judgment(
        self,
        judgment: Judgment,
        stored: StoredItem,
        template: Template | None,
        requests: Mapping[Place, Request],
    ) -> JudgmentView:
        places = responses_at_places(stored.item, judgment)
        parsed = None if template is None else parsed_by(template, judgment, stored.item)
        whole = judgment.scores is None or parsed is None  # what was not understood is not taken apart
        split = not whole and bool(parsed and (parsed.principles or parsed.critique))
        verdict, ratings = stored.verdict, stored.ratings
        rating = None if ratings is None or judgment.problem is not None else ratings.get(judgment.index)
        return JudgmentView(
            key=key_of(judgment),
            title=title_of(judgment, verdict).removeprefix("judgment "),
            facts=facts_of(judgment, requests.get(place_of(judgment)), imported="imported" in self.written),
            no_expected=judgment.no_expected,
            problem=None if judgment.problem is None else f"{judgment.problem.code}: {judgment.problem.detail}",
            scores=_scores(judgment, places, _scale_of(stored, judgment, self._scale)),
            places=places,
            principles=self._text(parsed.principles, places) if split and parsed and parsed.principles else None,
            critique=self._text(parsed.critique, places) if split and parsed and parsed.critique else None,
            answer=None if split else self._text(judgment.text or "(empty)", places),
            form=None if parsed is None or parsed.span is None else judgment.text[slice(*parsed.span)],
            rating=None if rating is None else f"{rating:.3g}",
            kept=None if verdict.kept is None else judgment.index in verdict.kept,
        )


def key_of(judgment: Judgment) -> str:
    """What a judgment is called within its item: index, and block and attempt where they are not 0."""
    return ".".join(map(str, place_of(judgment)))


def _scale_of(stored: StoredItem, judgment: Judgment, scale: Scale | None) -> Scale:
    """The scale that scores are coloured by: the judge's, or what the scores here span; of a criterion what its own do."""
    verdict = stored.verdict
    if scale is not None and verdict.criteria is None and verdict.jury is None:
        return scale
    alike = [one for one in verdict.judgments if verdict.criteria is None or one.block == judgment.block]
    scores = [score for one in alike for score in one.scores or ()]
    return (min(scores), max(scores)) if scores else (0.0, 1.0)


def _scores(judgment: Judgment, places: Sequence[tuple[int, ...]], scale: Scale) -> dict[int, Score]:
    """By response, in item order; a judgment of a block has those of its own."""
    place_of_response = {i: place for place, group in enumerate(places, 1) for i in group}
    low, high = scale
    found = {}
    for at, i in enumerate(sorted(judgment.order)):
        value = judgment.scores[at] if judgment.scores else None
        share = 0.0 if value is None or high == low else min(1.0, max(0.0, (value - low) / (high - low)))
        found[i] = Score(
            response=i,
            value=value,
            level=None if value is None else round(share * LEVELS),
            place=place_of_response[i],
            expected=judgment.expected[at] if judgment.expected else None,
            unresolved=judgment.unresolved[at] if judgment.unresolved else None,
        )
    return found


def _more(turn: Message) -> dict[str, Markup]:
    """What a turn has beside its role and its text: names, calls of tools, what it answers, addresses of images."""
    named = {} if turn.name is None else {"name": turn.name}
    calls = {f"call {call.number}: {call.name}": call.arguments for call in turn.calls}
    answers = {} if turn.answers is None else {"answers": f"call {turn.answers}"}
    images = {f"image {number}": image[:IMAGE_SHOWN] for number, image in enumerate(turn.images, 1)}
    return {key: raw(value) for key, value in {**named, **answers, **calls, **images}.items()}


def _plainly(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode()
