"""A prompt worked out once with holes where the untrusted texts go: what varies from item to item is filled in.

Only for templates that put texts through unread. A ``Hole`` prints as its place and fails when it is compared, measured
or searched, so a template whose shape depends on a text cannot be laid out by mistake; what a hole cannot notice are
filters, which is why ``Template`` lays out the shipped files alone, and renders a user's file afresh for every prompt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

_HOLE = re.compile("\0hole ([0-9]+)\0")


class Hole:
    """Stands for the text at ``place`` of those that will be filled in."""

    def __init__(self, place: int) -> None:
        self._place = place

    def __str__(self) -> str:
        return f"\0hole {self._place}\0"

    def _read(self, *_: object) -> NoReturn:
        raise TypeError("the template reads a text instead of passing it through")

    __bool__ = __len__ = __iter__ = __contains__ = __getitem__ = __eq__ = __lt__ = __add__ = __hash__ = _read


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The parts of each message in turn, literal text at even places and a text's number at odd ones."""

    parts: tuple[tuple[str, tuple[str, ...], tuple[tuple[int, int], ...]], ...]

    @classmethod
    def of(cls, messages: Sequence[tuple[str, str]]) -> Skeleton:
        """From the role and text of each message, rendered with holes."""
        parts = []
        for role, body in messages:
            pieces = _HOLE.split(body.strip())  # so that a message need not be stripped, which copies it
            holes = tuple([(at, int(pieces[at])) for at in range(1, len(pieces), 2)])
            parts.append((role, tuple(pieces), holes))
        return cls(tuple(parts))

    def fill(self, texts: Sequence[str]) -> list[tuple[str, str]]:
        """Role and text of each message, with ``texts[i]`` in every hole i."""
        messages: list[tuple[str, str]] = []
        for role, pieces, holes in self.parts:
            filled = list(pieces)
            for at, place in holes:
                filled[at] = texts[place]
            messages.append((role, "".join(filled)))
        return messages
