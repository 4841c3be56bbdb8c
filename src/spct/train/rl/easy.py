"""The too-easy filter: items that a weak model gets right in every one of k judgments teach nothing and are left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from spct.engines import Engine
from spct.train.rl.judging import Asking, judge_all
from spct.types import Item
from spct.voting.accuracy import grade
from spct.voting.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Sifted:
    """``kept`` are places of items, in order; ``easy`` counts the others, ``unjudged`` items with fewer than k judgments."""

    kept: tuple[int, ...]
    easy: int
    unjudged: int


async def leave_out_easy(
    engine: Engine,
    items: Sequence[Item],
    asking: Asking,
    *,
    out: Path,
    session: Mapping[str, Any] = MappingProxyType({}),
    on_item: Callable[[], None] = lambda: None,
) -> Sifted:
    """Judge every item ``asking.k`` times with the weak ``engine`` and keep those that it gets wrong at least once.

    Samples are kept in a run in ``out``, so a stopped filter goes on where it was; ``session`` is as in ``judge_all``.
    An item whose prompt does not fit the weak model, or that fails otherwise, is not too easy for it.
    """
    verdicts = await judge_all(engine, items, asking, out=out, session=session, on_item=on_item)
    pairs = enumerate(zip(items, verdicts, strict=True))
    kept = tuple(place for place, (item, verdict) in pairs if not is_easy(item, verdict, asking.k))
    unjudged = sum(len(verdict.judgments) < asking.k for verdict in verdicts)
    return Sifted(kept, len(items) - len(kept), unjudged)


def is_easy(item: Item, verdict: Verdict, k: int) -> bool:
    """Whether all k judgments are correct by Eq 10."""
    grades = [grade(judgment.scores, item) for judgment in verdict.judgments]
    return len(grades) == k and all(found == "correct" for found in grades)
