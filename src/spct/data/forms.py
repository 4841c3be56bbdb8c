"""What a group becomes in training: single responses with a 0/1 label, pairs, sets of three or more with one best."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal, get_args

from spct.data.group import Group

Form = Literal["single", "pair", "multi"]
FORMS: tuple[Form, ...] = get_args(Form)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One item that a group can give: the responses by their indices in the group, the best one first (if any)."""

    form: Form
    indices: tuple[int, ...]

    @property
    def name(self) -> str:
        """What tells it from the group's other items in an id."""
        return self.form if self.form == "multi" else f"{self.form}-{'-'.join(map(str, self.indices))}"


def candidates(group: Group) -> tuple[list[Candidate], Counter[str]]:
    """All items a group can give, always in the same order, and the labels that give none, by reason."""
    dropped: Counter[str] = Counter()
    usable = [i for i, text in enumerate(group.responses) if text and not text.isspace()]
    if blank := len(group.responses) - len(usable):
        dropped["empty response"] += blank
    if group.tied:
        dropped["tie in the ground truth"] += group.tied
    found = [Candidate("single", (i,)) for i in usable if group.absolute]
    for i, j in group.wins:
        if i not in usable or j not in usable:
            continue
        if group.responses[i].strip() == group.responses[j].strip():
            dropped["equal responses, different labels"] += 1
        else:
            found.append(Candidate("pair", (i, j)))
    if len(usable) > 2:
        best = _best(group, usable)
        if best is None:
            dropped["no single best response (as a set)"] += 1
        else:
            found.append(Candidate("multi", (best, *(i for i in usable if i != best))))
    return found, dropped


def chars_of(group: Group, one: Candidate) -> int:
    """Characters of the query and the item's responses."""
    return sum(len(turn.content) for turn in group.messages) + sum(len(group.responses[i]) for i in one.indices)


def _best(group: Group, usable: list[int]) -> int | None:
    """The response that beats every other one."""
    wins = set(group.wins)
    texts = [group.responses[i].strip() for i in usable]
    for i in usable:
        if all((i, j) in wins for j in usable if j != i) and texts.count(group.responses[i].strip()) == 1:
            return i
    return None
