"""What training data are made of: a query, its responses, and what is known of their order.

What a group becomes in training - a single response with a 0/1 label, a pair, a set with one best - is decided in
``forms``. The functions make groups of the labels that data sets have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spct.errors import InputError
from spct.items.conversation import query_of, response_of
from spct.types import Message


class LabelRangeError(InputError):
    """A label is outside the scale that its source documents."""


class MissingPackageError(InputError):
    """Reading a source takes a package that is not installed: no row's fault."""


@dataclass(frozen=True, slots=True)
class Group:
    """A query and its N responses with the known order: ``(i, j)`` in ``wins`` says that i is better than j.

    ``tied`` counts the pairs that are known to be equal. ``rewards_N`` are the rewards where there are any; with
    ``absolute`` each is a 0/1 label that holds for its response alone. ``strength`` says of two responses how much
    better the best one is, 1 (slightly) to 3 (much). ``topic`` is the text that marks the conversation where that is
    not its first user turn.
    """

    messages: tuple[Message, ...]
    responses: tuple[str, ...]
    wins: tuple[tuple[int, int], ...]
    tied: int = 0
    rewards_N: tuple[float, ...] | None = None
    absolute: bool = False
    strength: int | None = None
    domain: str | None = None
    reference: str | None = None
    principles: str | None = None
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A label that cannot be used, and why, in words that counts are kept by."""

    reason: str


def pair(query: object, first: object, second: object, preference: int, where: str, **more: Any) -> Group:
    """Two responses and a preference: below 0 for the first, above 0 for the second, 0 for neither."""
    messages = query_of(query, f"{where}: query")
    responses = (response_of(first, f"{where}: response 1"), response_of(second, f"{where}: response 2"))
    if preference == 0:
        return Group(messages, responses, (), tied=1, **more)
    return Group(messages, responses, ((0, 1),) if preference < 0 else ((1, 0),), **more)


def wins_of(rewards: Sequence[float]) -> tuple[tuple[tuple[int, int], ...], int]:
    """All (better, worse) among N rewards, and the number of equal pairs."""
    n = len(rewards)
    wins = tuple((i, j) for i in range(n) for j in range(n) if rewards[i] > rewards[j])
    return wins, n * (n - 1) // 2 - len(wins)


def integer(value: object, where: str, low: int, high: int) -> int:
    """``value`` as a whole number of the scale low..high. Raises LabelRangeError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or int(value) != value:
        raise LabelRangeError(f"{where}: got {value!r}; expected a whole number from {low} to {high}")
    if not low <= value <= high:
        raise LabelRangeError(f"{where}: got {value!r}; expected {low} to {high}")
    return int(value)


def need(row: Mapping[str, Any], where: str, *keys: str) -> None:
    """Raise InputError, naming the row, unless it has every key with a value."""
    if lacking := [key for key in keys if row.get(key) is None]:
        have = ", ".join(map(str, row)) or "no keys"
        raise InputError(f"{where}: got a row with {have}; expected {', '.join(lacking)} too")
