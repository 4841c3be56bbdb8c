"""A written judgment step by step: does it weigh, read, earn, add and copy as it should?

A judgment of the world is right when every step of it is. Where the steps go wrong is what tells one base from another, and
it is read off the text alone: no step is judged by what came before it went wrong, but by what stands there. So ``adds`` asks
whether a sum is that of the points written beside it, not whether the points are right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from benchmarks.spct_lab.world import WEIGHTS, Query, Requirement, Response

_NUMBERS = set(map(str, range(10)))
_WEIGHTS = {str(weight): weight for weight in WEIGHTS.values()}


@dataclass(frozen=True, slots=True)
class Check:
    """One requirement held against one response: what was found, and the points given for it."""

    kind: str
    category: str
    found: bool
    points: int

    @property
    def met(self) -> bool:
        """Whether the response meets the requirement, if what was found is there."""
        return self.found != (self.kind == "lack")


@dataclass(frozen=True, slots=True)
class Line:
    """What is written of one response: its checks and their sum."""

    checks: tuple[Check, ...]
    total: int

    @property
    def computed(self) -> int:
        """The sum of the points that it gives."""
        return sum(check.points for check in self.checks)


@dataclass(frozen=True, slots=True)
class Written:
    """A judgment that is written in full, responses in shown order; ``principles`` is empty where none were asked for."""

    principles: tuple[Requirement, ...]
    lines: tuple[Line, ...]

    def weights(self, line: Line) -> list[int | None]:
        """The weight that the principles give each check of a line, None for one that they do not name.

        An author who misreads may name one requirement twice: checks take them in their order.
        """
        left = list(self.principles)
        found: list[int | None] = []
        for check in line.checks:
            one = next((one for one in left if (one.kind, one.category) == (check.kind, check.category)), None)
            if one is not None:
                left.remove(one)
            found.append(None if one is None else one.weight)
        return found


@dataclass(frozen=True, slots=True)
class Steps:
    """Shares, from 0 to 1, of the steps of one judgment that are right.

    ``weighs``: requirements of the query that the principles name with their weight. ``reads``: requirements and responses
    where what is found is there. ``earns``: checks whose points follow from the finding and the judgment's own weight.
    ``adds``: sums that are those of the points beside them. ``copies``: scores in the box that are the sums.
    """

    weighs: float
    reads: float
    earns: float
    adds: float
    copies: float


STEPS = tuple(field.name for field in fields(Steps))


def read_judgment(text: str, n: int) -> Written | None:
    """What a judgment over ``n`` responses says; None for one that is not written in full."""
    head, sign, rest = text.partition("critique ")
    body = rest.partition("\\boxed")[0].split()
    principles = _principles(head.split())
    if not sign or principles is None:
        return None
    starts = [place for place, word in enumerate(body) if word.startswith("#")]
    if [body[place] for place in starts] != [f"#{i}" for i in range(1, n + 1)]:
        return None
    ends = [*starts[1:], len(body)]
    lines = [_line(body[start + 1 : end]) for start, end in zip(starts, ends, strict=True)]
    return None if None in lines else Written(principles, tuple([line for line in lines if line is not None]))


def steps_of(written: Written, query: Query, shown: Sequence[Response], box: Sequence[float] | None) -> Steps:
    """How right each step of a judgment is; ``shown`` are the responses in shown order, ``box`` the scores, None without."""
    named = set(written.principles)
    reads, earns = [], []
    for line, words in zip(written.lines, shown, strict=True):
        seen = {(check.kind, check.category): check for check in line.checks}
        for one in query:
            check = seen.get((one.kind, one.category))
            reads.append(check is not None and check.found == one.found_in(words))
        for check, weight in zip(line.checks, written.weights(line), strict=True):
            earns.append(weight is not None and check.points == weight * check.met)
    scores = list(box) if box is not None else []
    totals = [line.total for line in written.lines]
    if len(shown) == 1:  # a lone response is graded 1 if it meets everything
        totals = [int(all(check.points for check in line.checks)) for line in written.lines]
    copied = [i < len(scores) and scores[i] == total for i, total in enumerate(totals)]
    return Steps(
        _share(one in named for one in query),
        _share(reads),
        _share(earns),
        _share(line.total == line.computed for line in written.lines),
        _share(copied),
    )


def _principles(words: Sequence[str]) -> tuple[Requirement, ...] | None:
    if not words:
        return ()
    if words[0] != "principles":
        return None
    parts = [part.split() for part in " ".join(words[1:]).split(" , ")]
    if any(len(part) != 3 or part[2] not in _WEIGHTS for part in parts):
        return None
    return tuple([Requirement(kind, category, _WEIGHTS[weight]) for kind, category, weight in parts])


def _line(words: Sequence[str]) -> Line | None:
    """``tool cloth ; begin tool yes 4 lack cloth no 0 = 4 [scores]``."""
    if ";" not in words or "=" not in words:
        return None
    checked = words[words.index(";") + 1 : words.index("=")]
    total = words[words.index("=") + 1 : words.index("=") + 2]
    quads = [checked[place : place + 4] for place in range(0, len(checked), 4)]
    if not quads or any(len(quad) != 4 or quad[2] not in ("yes", "no") for quad in quads):
        return None
    if not {*total, *(quad[3] for quad in quads)} <= _NUMBERS or not total:
        return None
    checks = [Check(kind, category, found == "yes", int(points)) for kind, category, found, points in quads]
    return Line(tuple(checks), int(total[0]))


def _share(right: Iterable[bool]) -> float:
    listed = list(right)
    return sum(listed) / len(listed) if listed else 0.0
