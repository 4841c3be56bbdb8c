"""The contract of a source: one row of its upstream files in, groups out.

Failure rule: a row that is not of the source's layout is an InputError, a label outside its scale a LabelRangeError; a
label that cannot be trained on (nothing to check, no answer) is a ``Dropped``, counted by reason.
To add one: a file here with a class that follows ``Source``, a line in ``SOURCES``, a row in
``tests/data/sources/test_contract.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from spct.data.group import Dropped, Group


@dataclass(frozen=True, slots=True)
class SourceAbout:
    """What a source is. ``hub`` is its data set on the Hugging Face hub; ``files`` are globs over paths, any of them."""

    title: str
    licence: str
    layout: str
    hub: str | None = None
    files: tuple[str, ...] = ("*",)


class Source(Protocol):
    """Reads rows of one data set. Stateless."""

    @property
    def about(self) -> SourceAbout: ...

    def read(self, row: Mapping[str, Any], where: str, file: Path) -> Iterator[Group | Dropped]:
        """The groups of one row; ``where`` names it for people, ``file`` is where it stands. Raises InputError."""
        ...
