"""What a service was asked and by whom, kept beside its judgments: an answer from the cache is in no other table.

The table is made when a service opens a run to write to; other runs have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from spct.run.damage import check_kinds

ASKS = (
    "CREATE TABLE IF NOT EXISTS asks (answered REAL NOT NULL, item TEXT NOT NULL, run TEXT NOT NULL, step INTEGER, "
    "rollouts TEXT NOT NULL)"
)
_NONE = type(None)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller told of a request: its training run and step, and by response the names of the rollouts with its text.

    A rollout without a name is "".
    """

    run: str = ""
    step: int | None = None
    rollouts: tuple[tuple[str, ...], ...] = ()

    @property
    def copies(self) -> tuple[int, ...]:
        """How many rollouts each response stands for."""
        return tuple([len(names) for names in self.rollouts])


@dataclass(frozen=True, slots=True)
class Ask:
    """An answered request: when (seconds since 1970), the id of its item in the run, and what was told of it."""

    answered: float
    item: str
    asked: Asked


def ask_row(ask: Ask) -> tuple[object, ...]:
    """A row of the table."""
    return ask.answered, ask.item, ask.asked.run, ask.asked.step, orjson.dumps(ask.asked.rollouts).decode()


def ask_of(row: Any) -> Ask:
    """The reverse. Raises ValueError for what this version does not write."""
    check_kinds(row, (float, str, str, (int, _NONE), str))
    answered, item, run, step, text = row
    rollouts = orjson.loads(text)
    names = [name for of_response in rollouts for name in of_response]
    check_kinds((rollouts, *rollouts, *names), [list] * (1 + len(rollouts)) + [str] * len(names))
    return Ask(answered, item, Asked(run, step, tuple(map(tuple, rollouts))))
