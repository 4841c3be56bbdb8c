"""What a probe changes in an item: one response, all of them, or their order. To add a rewriting: a function in ``REWRITES``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from spct.errors import InputError
from spct.items import fingerprint
from spct.recipe import Strict, load_recipe
from spct.types import Item
from spct.voting.orders import keyed_hash

SHIPPED = Path(__file__).with_name("probes.yaml")
KEY = "probe"
"""The key of an item's ``extra`` that says which probe it is."""

Places = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """The responses after a change; ``places[i]`` is where response i of the item is among them."""

    responses: tuple[str, ...]
    places: Places


def _a_line(value: object) -> object:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(f"got {value!r}; expected a line of text, which is put into sentences")
    return value


class ProbeIn(Strict):
    """A change. It ``must_not`` let the response it is made to win, or not raise its score, or not matter to any response.

    One of: ``replace`` the response by a text, ``prepend`` or ``append`` one, ``keep`` this share of it from its beginning,
    or ``rewrite`` it by a name of ``REWRITES``.
    """

    name: Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
    must_not: Literal["win", "raise", "matter"]
    what: Annotated[str, BeforeValidator(_a_line)]
    replace: str | None = None
    prepend: Annotated[str | None, Field(min_length=1)] = None
    append: Annotated[str | None, Field(min_length=1)] = None
    keep: Annotated[float | None, Field(gt=0, lt=1)] = None
    rewrite: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [
            name for name in ("replace", "prepend", "append", "keep", "rewrite") if getattr(self, name) is not None
        ]
        if len(given) != 1:
            raise ValueError(
                f"got {', '.join(given) or 'no change'}; expected one of replace, prepend, append, keep, rewrite"
            )
        if self.rewrite is not None and self.rewrite not in REWRITES:
            raise ValueError(f"rewrite is {self.rewrite!r}; expected one of {', '.join(REWRITES)}")
        return self

    def change(self, item: Item, target: int, other: str) -> Changed | None:
        """The item's responses with the change made to ``target``; None where it cannot be made, or changes nothing.

        ``other`` is a response to another query.
        """
        if self.rewrite is not None:
            changed = REWRITES[self.rewrite](item.responses, target, other)
        else:
            changed = _with(item.responses, target, self._text(item.responses[target]))
        return None if changed is None or changed.responses == item.responses else changed

    def changed(self, item: Item, target: int) -> Item | None:
        """The item with the change made to ``target``, under its own id and without its truth; None as in ``change``.

        For changes that keep every response in its place and need no other query, so all that must not raise a score.
        """
        changed = self.change(item, target, "")
        if changed is None:
            return None
        return replace(item, responses=changed.responses, best=None, rewards_N=None, truth=None)

    def _text(self, text: str) -> str:
        if self.keep is not None:
            return text[: int(self.keep * len(text))]
        if self.replace is not None:
            return self.replace
        return (self.prepend or "") + text + (self.append or "")


class ProbesIn(Strict):
    probes: Annotated[tuple[ProbeIn, ...], Field(min_length=1)]

    @field_validator("probes")
    @classmethod
    def _apart(cls, probes: tuple[ProbeIn, ...]) -> tuple[ProbeIn, ...]:
        names = Counter(probe.name for probe in probes)
        if repeated := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"several are called {repeated[0]!r}; expected a name of its own for each")
        return probes


def _with(responses: Sequence[str], target: int, text: str) -> Changed:
    texts = [text if i == target else response for i, response in enumerate(responses)]
    return Changed(tuple(texts), tuple(range(len(texts))))


def _other_query(responses: Sequence[str], target: int, other: str) -> Changed:
    return _with(responses, target, other)


def _bullets(responses: Sequence[str], target: int, other: str) -> Changed:
    """Each sentence a bullet, its first words in bold."""
    sentences = [part.strip() for part in re.split(r"(?<=[.!?])\s+|\n+", responses[target]) if part.strip()]
    lines = []
    for sentence in sentences:
        words = sentence.split(" ", 2)
        lines.append(f"- **{' '.join(words[:2])}** {' '.join(words[2:])}".rstrip())
    return _with(responses, target, "\n".join(lines))


def _reverse(responses: Sequence[str], target: int, other: str) -> Changed:
    return Changed(tuple(reversed(responses)), tuple(range(len(responses) - 1, -1, -1)))


def _blanks(responses: Sequence[str], target: int, other: str) -> Changed:
    return Changed(tuple(f"\n\n{text}  \n\n" for text in responses), tuple(range(len(responses))))


def _letters(responses: Sequence[str], target: int, other: str) -> Changed:
    named = [f"Answer {chr(ord('A') + i % 26)}:\n{text}" for i, text in enumerate(responses)]
    return Changed(tuple(named), tuple(range(len(named))))


def _twice(responses: Sequence[str], target: int, other: str) -> Changed | None:
    if len(responses) < 2:
        return None
    return Changed((*responses, responses[target]), tuple(range(len(responses))))


REWRITES: Mapping[str, Callable[[Sequence[str], int, str], Changed | None]] = {
    "other-query": _other_query,
    "bullets": _bullets,
    "reverse": _reverse,
    "blanks": _blanks,
    "letters": _letters,
    "twice": _twice,
}


def read_probes(path: Path | None = None, only: Sequence[str] = ()) -> tuple[ProbeIn, ...]:
    """The shipped probes and those in ``path``, whose names win; ``only`` these names. Raises InputError."""
    by_name = {probe.name: probe for probe in load_recipe(ProbesIn, SHIPPED).probes}
    if path is not None:
        by_name |= {probe.name: probe for probe in load_recipe(ProbesIn, path).probes}
    if unknown := [name for name in only if name not in by_name]:
        raise InputError(f"no probe {unknown[0]!r}; there are {', '.join(by_name)}")
    return tuple(probe for name, probe in by_name.items() if not only or name in only)


def target_of(item: Item, seed: int) -> int:
    """The response that changes are made to: drawn by the seed among those that are not known to be best."""
    worse = [i for i in range(len(item.responses)) if i != item.best] or [0]
    return worse[keyed_hash(seed, fingerprint(item), "target") % len(worse)]


def probe_items(items: Sequence[Item], probes: Sequence[ProbeIn], seed: int = 0) -> list[Item]:
    """Every item as it is, and behind it one for each probe that can be made of it.

    A probe's item has no truth: it is held against the item that it is of.
    """
    made = []
    for place, item in enumerate(items):
        target = target_of(item, seed)
        other = items[(place + 1) % len(items)].responses[0]
        made.append(replace(item, extra={**item.extra, KEY: {"name": "", "of": item.id, "target": target}}))
        for probe in probes:
            changed = probe.change(item, target, other)
            if changed is not None and not (probe.rewrite == "other-query" and len(items) == 1):
                said: dict[str, Any] = {"name": probe.name, "of": item.id, "target": target, "places": changed.places}
                said |= {"must_not": probe.must_not, "what": probe.what}
                made.append(
                    Item(
                        f"{item.id}~{probe.name}",
                        item.messages,
                        changed.responses,
                        reference=item.reference,
                        principles=item.principles,
                        extra={KEY: said},
                    )
                )
    return made
