"""Lasting names of an item's responses for people: A, B, C ... in item order, whatever place a judgment showed them in."""

from __future__ import annotations

from collections.abc import Iterable


def letter(index: int) -> str:
    """A to Z, then AA, AB and so on, as columns of a spreadsheet are named."""
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(65 + rest) + name
    return name


def letters(indexes: Iterable[int]) -> str:
    """``A``, ``A and B``, ``A, B and C``."""
    names = [letter(index) for index in indexes]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
