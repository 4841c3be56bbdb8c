"""How many items of each form each source gives, so that the shares of sources and of forms both hold.

A transport problem: rows are sources, columns are forms, a cell holds at most what is usable there. It is solved by
augmenting paths, the cells opened step by step so that a source gives its forms in proportion to what it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor

from spct.errors import InputError

STEPS, ROUNDING = 8, 8
Counts = dict[str, dict[str, int]]


def split_by(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """``total`` in parts of these shares, by largest remainder; the parts add up to round(total * sum of shares)."""
    exact = {name: total * share for name, share in shares.items()}
    parts = {name: floor(value + 1e-9) for name, value in exact.items()}
    left = round(sum(exact.values())) - sum(parts.values())
    for name in sorted(exact, key=lambda name: (parts[name] - exact[name], name))[:left]:
        parts[name] += 1
    return parts


def allocate(
    usable: Mapping[str, Mapping[str, int]],
    counts: Mapping[str, int],
    shares: Mapping[str, float],
    forms: Mapping[str, float] | None,
    size: int | None,
) -> Counts:
    """Items by source and form: ``counts`` and ``shares`` of the total fix sources, ``forms`` the mix over all.

    Sources that are neither counted nor shared give what is still needed. Without ``size`` the total is the sum of the
    counts where all sources have one, else the largest that can be met. Raises InputError, saying what is short.
    """
    if size is None and counts and len(counts) < len(usable) and (forms or shares):
        raise InputError(
            "size: some sources have a count and others follow shares; expected the size of the whole as well"
        )
    mix = _Mix(usable, counts, shares, forms)
    best = sum(counts.values()) if len(counts) == len(usable) else mix.largest(size or mix.have)
    asked = best if size is None else size
    found = mix.cells(asked) if asked else None
    if found is None:
        raise InputError(mix.why_not(asked or 1, best if best < asked else 0))
    return found


@dataclass(frozen=True, slots=True)
class _Mix:
    """What is asked of which sources, as ``allocate`` takes it."""

    usable: Mapping[str, Mapping[str, int]]
    counts: Mapping[str, int]
    shares: Mapping[str, float]
    forms: Mapping[str, float] | None

    @property
    def have(self) -> int:
        """All items that are usable."""
        return sum(sum(cells.values()) for cells in self.usable.values())

    def largest(self, high: int) -> int:
        """The largest total up to ``high`` that can be met: what can be met can be scaled down. 0 if there is none.

        Where the rounding of two kinds of shares disagrees, a single total between others cannot be met: each look is at
        ``ROUNDING`` totals.
        """

        def near(size: int) -> int:
            tried = range(size, max(size - ROUNDING, 0), -1)
            return next((total for total in tried if self.cells(total) is not None), 0)

        low = sum(self.counts.values())
        while low < high:
            middle = (low + high + 1) // 2
            if near(middle):
                low = middle
            else:
                high = middle - 1
        return near(low)

    def cells(self, size: int) -> Counts | None:
        """The cells for exactly ``size`` items, None where they cannot be had."""
        fixed = {**self.counts, **split_by(size, self.shares)}
        free = [name for name in self.usable if name not in fixed]
        rest = size - sum(fixed.values())
        if rest < 0 or (rest and not free):
            return None
        every = {form: size for cells in self.usable.values() for form in cells}
        flow = _Flow(self.usable, every if self.forms is None else split_by(size, self.forms))
        if any(flow.send(name, fixed[name]) < fixed[name] for name in fixed):
            return None
        have = {name: sum(self.usable[name].values()) for name in free}
        sent = 0
        if rest:
            parts = split_by(rest, {name: have[name] / max(sum(have.values()), 1) for name in free})
            sent = sum(flow.send(name, parts[name]) for name in free)
        for name in free:  # where the forms do not let a source give its part, the others give more
            sent += flow.send(name, rest - sent)
        return flow.cells if sent == rest else None

    def why_not(self, size: int, best: int) -> str:
        """One sentence that names what is short at this size; ``best`` is what can be met, 0 if nothing."""
        mend = f"the largest size that can be met is {best:,}" if best else "lower it, or add data"
        for name, asked in {**self.counts, **split_by(size, self.shares)}.items():
            if asked > (have := sum(self.usable[name].values())):
                return f"source {name!r}: {asked:,} items are asked for and {have:,} are usable; {mend}"
        for form, asked in split_by(size, self.forms or {}).items():
            if asked > (have := sum(cells.get(form, 0) for cells in self.usable.values())):
                return f"form {form!r}: {asked:,} items are asked for and the sources have {have:,}; {mend}"
        if size > self.have:
            return f"size: {size:,} items are asked for and {self.have:,} are usable; {mend}"
        if size < (counted := sum(self.counts.values())):
            return f"size: {size:,} is less than the counts of the sources, {counted:,}; raise it or lower them"
        return f"the shares of the sources and of the forms cannot be met together at {size:,} items; {mend}"


class _Flow:
    """Items sent from sources to forms so far."""

    def __init__(self, usable: Mapping[str, Mapping[str, int]], columns: Mapping[str, int]) -> None:
        self.cells: Counts = {name: dict.fromkeys(columns, 0) for name in usable}
        self._usable = usable
        self._columns = dict(columns)

    def send(self, source: str, amount: int) -> int:
        """Send up to ``amount`` items of a source, moving other sources' to other forms where that makes room."""
        sent = 0
        for step in range(1, STEPS + 1):
            while sent < amount:
                path = self._path(source, step)
                if path is None:
                    break
                sent += self._push(path, amount - sent, step)
        return sent

    def _room(self, source: str, form: str, step: int) -> int:
        have = self._usable[source].get(form, 0)
        return (have if step == STEPS else have * step // STEPS) - self.cells[source][form]

    def _left(self, form: str) -> int:
        """What may still be sent to a form."""
        return self._columns[form] - sum(cells[form] for cells in self.cells.values())

    def _path(self, source: str, step: int) -> list[tuple[str, str]] | None:
        """Source, form, source, form, ...: each source sends to the form after it, taking from the next one's there."""
        queue = [[(source, form)] for form in self._columns if self._room(source, form, step) > 0]
        seen = {source}
        while queue:
            path = queue.pop(0)
            form = path[-1][1]
            if self._left(form) > 0:
                return path
            for other in self.cells:
                if other not in seen and self.cells[other][form] > 0:
                    seen.add(other)
                    queue += [
                        [*path, (other, to)] for to in self._columns if to != form and self._room(other, to, step) > 0
                    ]
        return None

    def _push(self, path: Sequence[tuple[str, str]], limit: int, step: int) -> int:
        amount = min(
            limit,
            self._left(path[-1][1]),
            *(self._room(name, form, step) for name, form in path),
            *(self.cells[name][path[i][1]] for i, (name, _) in enumerate(path[1:])),
        )
        for i, (name, form) in enumerate(path):
            self.cells[name][form] += amount
            if i:
                self.cells[name][path[i - 1][1]] -= amount
        return amount
