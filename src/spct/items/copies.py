"""Responses of equal text are one response: a judge is shown each text once, and its score is that of all its copies.

The item keeps its n responses, and a judgment names all of them: in its order each copy stands right behind the first
of its text. What a judge made of the texts (``spread``) and what of such a judgment it was shown (``as_shown``) are each
other's reverse. Recordings of other judges, who may have scored copies apart, stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from spct.types import Item, Judgment


@dataclass(frozen=True, slots=True)
class Copies:
    """``groups`` are the places of each text, the texts in order of their first; ``none``: every text is there once."""

    groups: tuple[tuple[int, ...], ...]
    none: bool

    def once(self, item: Item) -> Item:
        """The item with each text once; its best response and its rewards are those of the first copies."""
        if self.none:
            return item
        firsts = [group[0] for group in self.groups]
        best = None if item.best is None else next(g for g, group in enumerate(self.groups) if item.best in group)
        return replace(
            item,
            responses=tuple([item.responses[i] for i in firsts]),
            best=best,
            rewards_N=None if item.rewards_N is None else tuple([item.rewards_N[i] for i in firsts]),
            truth=None,
        )

    def spread(self, judgment: Judgment) -> Judgment:
        """A judgment of the texts as one of all responses."""
        if self.none:
            return judgment
        order = tuple([i for g in judgment.order for i in self.groups[g]])
        text_of = {i: g for g in judgment.order for i in self.groups[g]}
        place = {g: place for place, g in enumerate(sorted(judgment.order))}
        return _with(judgment, order, lambda values: tuple([values[place[text_of[i]]] for i in sorted(order)]))

    def texts(self, judgment: Judgment) -> Judgment:
        """A judgment of all responses as one of the texts: the reverse of ``spread``."""
        if self.none:
            return judgment
        first = {group[0]: g for g, group in enumerate(self.groups)}
        place = {i: place for place, i in enumerate(sorted(judgment.order))}
        order = tuple([first[i] for i in judgment.order if i in first])
        firsts = [self.groups[g][0] for g in sorted(order)]
        return _with(judgment, order, lambda values: tuple([values[place[i]] for i in firsts]))


def copies_of(responses: Sequence[str]) -> Copies:
    """Which of the responses are equal."""
    if len(set(responses)) == len(responses):
        return apart(responses)
    places: dict[str, list[int]] = {}
    for i, text in enumerate(responses):
        places.setdefault(text, []).append(i)
    return Copies(tuple(map(tuple, places.values())), none=False)


def apart(responses: Sequence[str]) -> Copies:
    """Every response by itself, equal or not."""
    return Copies(tuple([(i,) for i in range(len(responses))]), none=True)


def as_shown(item: Item, judgment: Judgment) -> tuple[Item, Judgment]:
    """The item and the judgment as the judge saw them: each text once, where the judgment was made so."""
    copies = copies_of(item.responses)
    if not copies.none and copies.spread(texts := copies.texts(judgment)) == judgment:
        return copies.once(item), texts
    return item, judgment


def responses_at_places(item: Item, judgment: Judgment) -> list[tuple[int, ...]]:
    """The responses that the judge was shown as number 1, 2 and so on: several at a place where they are equal."""
    _, texts = as_shown(item, judgment)
    if texts is judgment:
        return [(i,) for i in judgment.order]
    groups = copies_of(item.responses).groups
    return [groups[g] for g in texts.order]


def _with(
    judgment: Judgment, order: tuple[int, ...], picked: Callable[[tuple[float, ...]], tuple[float, ...]]
) -> Judgment:
    """The judgment with this order, and the scores that ``picked`` makes of its own."""
    return replace(
        judgment,
        order=order,
        scores=None if judgment.scores is None else picked(judgment.scores),
        expected=None if judgment.expected is None else picked(judgment.expected),
        unresolved=None if judgment.unresolved is None else picked(judgment.unresolved),
    )
