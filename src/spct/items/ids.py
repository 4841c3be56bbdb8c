"""No id comes twice in one file: a row's own id is an error the second time, one made of its content is numbered."""

from __future__ import annotations

from dataclasses import replace

from spct.errors import InputError
from spct.items.item import ID_DIGITS, fingerprint
from spct.types import Item


class Ids:
    """The ids so far, as 64-bit hashes: a million collide by chance once in 10^7 files."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._copies: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._seen)

    def add(self, item: Item, where: str, *, given: bool) -> Item:
        """The item under an id that was not there before: its own if that was ``given``, else with a number behind it.

        Raises InputError for a given id that was there before.
        """
        name = item.id
        while hash(item.id) in self._seen:
            if given:
                raise InputError(f"{where}: got the id {item.id!r} a second time; expected each id once")
            self._copies[name] = copy = self._copies.get(name, 1) + 1
            item = replace(item, id=f"{name}-{copy}")
        self._seen.add(hash(item.id))
        return item

    def again(self, item: Item, where: str) -> Item:
        """``add`` for an item that another file has named: what is named by its content is numbered anew."""
        mark = item.id.partition("-")[0]
        by_content = len(mark) >= ID_DIGITS and fingerprint(item).startswith(mark)
        return self.add(replace(item, id=mark) if by_content else item, where, given=not by_content)
