"""The contract of the family: a template owns both the prompt (``render``) and the reading of its answer (``parse``).

``render`` gives every template the same variables, all untrusted ones sealed (see ``shield``); ``docs/templates.md``
lists them. A template has no state that shows: the same arguments give the same messages.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from spct.errors import TemplateError
from spct.templates.answer import reasoning
from spct.templates.grammar import write_grammar
from spct.templates.parsing import Parsed, parse_answer, parse_text
from spct.templates.readers import AnswerKind
from spct.templates.sections import named_parts
from spct.templates.shield import Sealed, Shield
from spct.templates.skeleton import Hole, Skeleton
from spct.templates.source import TemplateSource, source_of_texts
from spct.turns import MARKERS, body, turns_of, words_of
from spct.turns import written as written_turns
from spct.types import FinishReason, Item, Message, Slot, Trajectory

__all__ = ["AnswerKind", "Given", "Parsed", "Template"]

Given = Mapping[Literal["principles", "first"], str]
"""Texts that were written for an item's prompt: its principles, the answer of the template's first step."""

SKELETONS = 256
"""Laid-out prompts kept: one per tag, sequence of roles and number of responses; nearly all items of a file share theirs."""

_FIXES = {
    "reference": "the template {name!r} shows a reference answer: give the item a 'reference', or use the template grm",
    "principles": "the template {name!r} judges by given principles: give the item 'principles', or use grm",
    "single": "the template {name!r} judges one response at a time, got {n}: split the item, or use the template grm",
    "first": "the template {name!r} shows the answer of a first step, which only the judge grm asks for: use another template",
}
_NOTHING: Given = MappingProxyType({})


KEPT_CHARS = 2**22
"""Characters of sealed texts kept for the next orders of their items, which are rendered among those of many others."""


@dataclass(frozen=True, slots=True)
class _SealedItem:
    """An item's texts as they were last sealed; ``given`` is what else they depend on."""

    item: Item
    given: tuple[tuple[str | None, ...], tuple[str, ...], int]
    sealed: Sealed


class _SealedItems:
    """The items sealed last: always one, and more while their texts are short. Large items are sealed in other threads."""

    def __init__(self) -> None:
        self._items: dict[int, _SealedItem] = {}  # by the identity of an item, which each holds on to
        self._chars = 0
        self._changing = threading.Lock()

    def __len__(self) -> int:
        return len(self._items)

    def get(self, item: Item) -> _SealedItem | None:
        return self._items.get(id(item))

    def put(self, made: _SealedItem) -> None:
        with self._changing:
            self._drop(id(made.item))
            self._chars += _chars(made)
            while self._items and self._chars > KEPT_CHARS:
                self._drop(next(iter(self._items)))
            self._items[id(made.item)] = made

    def drop(self, item: Item) -> None:
        with self._changing:
            self._drop(id(item))

    def _drop(self, key: int) -> None:
        if (made := self._items.pop(key, None)) is not None:
            self._chars -= _chars(made)


def _chars(made: _SealedItem) -> int:
    return sum(map(len, made.sealed.texts))


class _Shape(NamedTuple):
    """All that a prompt depends on besides its texts. ``asked`` is the number of scores, ``shown`` of responses."""

    tag: str
    roles: tuple[str, ...]
    asked: int
    shown: int
    optional: tuple[str, ...]
    trajectories: bool


def images_of(item: Item, shown: Sequence[int]) -> tuple[str, ...]:
    """The images of a prompt by the numbers that its text calls them by, "" for those of responses that it does not show."""
    images = [image for turn in item.messages for image in turn.images]
    for index, response in enumerate(item.responses if shown else ()):
        for turn in response.turns if isinstance(response, Trajectory) else ():
            images += turn.images if index in shown else [""] * len(turn.images)
    return tuple(images) if any(images) else ()


def with_images(messages: tuple[Message, ...], images: tuple[str, ...]) -> tuple[Message, ...]:
    """The prompt with its images, which stand in the last message that is not the assistant's."""
    last = max(place for place, message in enumerate(messages) if message.role != "assistant")
    return (*messages[:last], replace(messages[last], images=images), *messages[last + 1 :])


class Template:
    """Renders items to prompts and parses completions, by one template file."""

    def __init__(self, source: TemplateSource) -> None:
        self._source = source
        self.name = source.name
        self.path = source.path
        self._reader = source.meta.make_reader()
        self.kind: AnswerKind = self._reader.kind
        self.scale = self._reader.scale
        self.lenient = self._reader.lenient
        self.first = source.meta.first
        self.shows_responses = source.meta.responses
        self.begins = source.begins
        self.needs = source.meta.needs | ({"first"} if self.first else set())
        self.digest = source.digest
        self.texts = source.texts
        self._shield = Shield(source.meta.markers, self._reader)
        self._turn_shield = Shield(source.meta.markers, self._reader, MARKERS)
        self._sealed = _SealedItems()
        self._skeleton = lru_cache(maxsize=SKELETONS)(self._lay_out)

    @classmethod
    def of_texts(cls, name: str, texts: Mapping[str, str]) -> Template:
        """The template called ``name`` from the ``texts`` that were kept of it. Raises TemplateError."""
        return cls(source_of_texts(name, texts))

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy in another process, where the file need not be."""
        return Template.of_texts, (self.name, dict(self.texts))

    def __repr__(self) -> str:
        return f"Template({self.name!r}, kind={self.kind!r}, digest={self.digest!r})"

    def render(
        self,
        item: Item,
        order: Sequence[int],
        *,
        given: Given = _NOTHING,
        special_tokens: Sequence[str] = (),
        asked: int | None = None,
    ) -> tuple[Message, ...]:
        """The prompt that shows the responses ``order`` names (item indices), numbered 1 to len(order) in that order.

        Principles that are ``given`` go before the item's own; ``special_tokens`` are the engine's. ``asked`` is the number
        of scores that the answer will hold, where that is not one a response: the texts are sealed for such a box. A
        template without responses ignores ``order``. Raises TemplateError if the item lacks what the template needs.
        """
        optional = {
            "reference": item.reference,
            "principles": given.get("principles", item.principles),
            "first": given.get("first"),
        }
        turns = len(item.messages)
        asked = len(order) if asked is None else asked
        self._check(item, order, optional, asked)
        tag, texts = self._seal(item, tuple(optional.values()), tuple(special_tokens), asked)
        shown = order if self.shows_responses else ()
        after = turns + (len(item.responses) if shown else 0)
        texts = (*texts[:turns], *[texts[turns + index] for index in shown], *texts[after:])
        roles = tuple([message.role for message in item.messages])
        there = tuple([name for name, text in optional.items() if text is not None])
        trajectories = any(turn.calls for turn in item.messages) or (
            bool(shown) and any(type(response) is Trajectory for response in item.responses)
        )
        shape = _Shape(tag, roles, asked, len(shown), there, trajectories)
        images = images_of(item, shown)
        if self._source.shipped:
            messages = self._source.messages(self._skeleton(shape).fill(texts))
        else:
            messages = self._source.render(self._variables(shape, texts))
        if (messages[-1].role == "assistant") != self.begins:
            raise TemplateError(
                f"item {item.id!r}: the template {self.name!r} begins the assistant's turn in some prompts and not in "
                "others; begin it in all of them or in none"
            )
        return with_images(messages, images) if images else messages

    def _lay_out(self, shape: _Shape) -> Skeleton:
        count = len(shape.roles) + shape.shown + len(shape.optional)
        return Skeleton.of(self._source.parts(self._variables(shape, [Hole(place) for place in range(count)])))

    def _variables(self, shape: _Shape, texts: Sequence[str | Hole]) -> dict[str, Any]:
        """What a template file may use; ``texts`` are the turns, the shown responses, and those that are optional."""
        turns = len(shape.roles)
        after = turns + shape.shown
        return {
            "n": shape.shown,
            "low": self._source.meta.scale[0],
            "high": self._source.meta.scale[1],
            "tag": shape.tag,
            "form": self._reader.form(shape.asked),
            "turns": list(zip(shape.roles, texts, strict=False)),
            "query": texts[turns - 1],
            "responses": list(enumerate(texts[turns:after], 1)),
            **dict.fromkeys(("reference", "principles", "first")),
            **dict(zip(shape.optional, texts[after:], strict=True)),
            "trajectories": shape.trajectories,
        }

    def parse(self, text: str, n: int, finish_reason: FinishReason = "stop", *, sections: bool = True) -> Parsed:
        """Read a completion over n responses (see ``parsing``). Never raises for what a model wrote.

        Without ``sections`` a judgment is not split into principles and critique, which only a reader needs.
        """
        if self.kind == "text":
            return parse_text(text, finish_reason, self._source.meta.headings.principles)
        return parse_answer(self._reader, text, n, finish_reason, sections, self._source.meta.headings.scores)

    def divide(self, text: str, n: int) -> dict[str, str]:
        """The parts of a completion over n responses by name (see ``sections``)."""
        parsed, (start, _) = self.parse(text, n), reasoning(text)
        return named_parts(text, start, parsed.span, parsed.principles, parsed.critique)

    def slots(self, text: str, span: tuple[int, int], n: int) -> tuple[Slot, ...]:
        """Where the scores of a parsed completion stand, for their expected values; () where the form has none."""
        return self._reader.slots(text, span, n)

    def grammar(self, n: int, max_tokens: int, *, asked: int | None = None) -> str | None:
        """GBNF whose every completed derivation ``parse`` accepts for n responses, or for ``asked`` scores of them.

        None where the template wants none; where the turn is begun in the prompt, since a grammar is that of a whole turn;
        and for a text that begins with no heading of its own, which may be anything.
        """
        meta = self._source.meta
        if not meta.grammar or self.begins or (self.kind == "text" and meta.headings.principles is None):
            return None
        return write_grammar(self._reader, n, max_tokens, self._source.meta.headings, asked)

    def json_schema(self, n: int) -> str | None:
        """The JSON schema, as JSON, of the answer over n responses; None where it is not JSON, its turn is begun, or the
        template wants none.
        """
        schema = self._reader.schema(n) if self._source.meta.grammar and not self.begins else None
        return None if schema is None else json.dumps(schema, ensure_ascii=False)

    def refuses(self, n: int) -> str | None:
        """Why this template cannot judge n responses at a time, None if it can."""
        if "single" in self.needs and n != 1:
            return f"it judges one response at a time, got {n}"
        return self._reader.refuses(n)

    def forget(self, item: Item) -> None:
        """Let go of the item, which is not rendered any more: else its texts stay until others need the room."""
        self._sealed.drop(item)

    def _check(self, item: Item, order: Sequence[int], optional: Mapping[str, str | None], asked: int) -> None:
        n = len(order)
        for need in sorted(self.needs):
            lacks = self.shows_responses and n != 1 if need == "single" else optional[need] is None
            if lacks:
                raise TemplateError(f"item {item.id!r}: " + _FIXES[need].format(name=self.name, n=n))
        if not item.messages:
            raise TemplateError(f"item {item.id!r}: no messages; expected at least the user's query")
        if not self.shows_responses:
            return
        count = len(item.responses)
        if n == 0 or len(set(order)) != n or min(order) < 0 or max(order) >= count:
            raise TemplateError(
                f"item {item.id!r}: order {tuple(order)}; expected one or more distinct indices below {count}"
            )
        if (refused := self._reader.refuses(asked)) is not None:
            raise TemplateError(f"item {item.id!r}: template {self.name}: {refused}")

    def _seal(
        self, item: Item, written: tuple[str | None, ...], special_tokens: tuple[str, ...], asked: int
    ) -> tuple[str, tuple[str, ...]]:
        made = self._sealed.get(item)
        given = (written, special_tokens, asked)
        if made is None or made.given != given:
            # What is asked of the query alone must not depend on the responses, not even by its tag.
            responses = item.responses if self.shows_responses else ()
            optional = [text for text in written if text is not None]
            if all(turn.is_plain for turn in item.messages) and not any(type(r) is Trajectory for r in responses):
                texts = [message.content for message in item.messages] + [*responses, *optional]
                sealed = self._shield.seal(texts, asked, special_tokens)
            else:
                sealed = self._seal_turns(item.messages, responses, optional, asked, special_tokens)
            made = _SealedItem(item, given, sealed)
            self._sealed.put(made)
        return made.sealed.tag, made.sealed.texts

    def _seal_turns(
        self,
        messages: Sequence[Message],
        responses: Sequence[str],
        optional: Sequence[str],
        asked: int,
        special_tokens: Sequence[str],
    ) -> Sealed:
        """As ``Shield.seal`` where turns are more than a text: every word of them is sealed, then they are written."""
        turns = [*messages, *[turn for response in responses for turn in turns_of(response)]]
        words = [word for turn in turns for word in words_of(turn)]
        sealed = self._turn_shield.seal([*words, *optional], asked, special_tokens)
        tag, given, images = sealed.tag, iter(sealed.texts), count(1)
        texts = [body(turn, given, images, tag) for turn in messages]
        for response in responses:
            texts.append(
                written_turns(response.turns, given, images, tag) if isinstance(response, Trajectory) else next(given)
            )
        return Sealed(tag, (*texts, *given))
