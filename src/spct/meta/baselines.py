"""Two meta RMs that are no models: the least and the most that rating judgments can do.

``random`` keeps judgments by lot, so its vote is a plain vote over k_meta. ``oracle`` READS THE GROUND TRUTH: it
shows how much a perfect meta RM could gain from the same samples, and nothing it votes is a result of the judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from spct.errors import InputError
from spct.items import fingerprint
from spct.meta.meta import Case
from spct.voting.accuracy import grade
from spct.voting.orders import keyed_hash
from spct.voting.ratings import Rating, place_of


class _NoModel:
    """Nothing to load, nothing to free."""

    special_tokens: tuple[str, ...] = ()
    configuration: Mapping[str, Any] = MappingProxyType({})
    notes: tuple[str, ...] = ()

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return


class OracleMeta(_NoModel):
    """Rates a judgment 1 if it alone is correct by Eq 10 (strict: a tie is wrong), else 0. A bound, not a model."""

    def __init__(self, name: str = "") -> None:
        if name:
            raise InputError(f"meta 'oracle:{name}': the oracle has no name; expected oracle")

    @property
    def model_id(self) -> str:
        return "oracle:reads-the-ground-truth"

    async def rate(self, cases: Sequence[Case]) -> list[Rating]:
        return [_eq10(case) for case in cases]


def _eq10(case: Case) -> Rating:
    if len(case.judgment.order) < len(case.item.responses):
        return Rating(None, "a block does not show all responses, so whether it is right cannot be told from it alone")
    found = grade(case.judgment.scores, case.item)
    if found is None:
        return Rating(None, "the item has no ground truth with a unique best")
    return Rating(float(found == "correct"))


class RandomMeta(_NoModel):
    """Rates by lot; the lot depends on the seed (``random:SEED``, 0 by default), the item and the judgment's place."""

    def __init__(self, name: str = "") -> None:
        if name and not name.isdecimal():
            raise InputError(f"meta 'random:{name}': expected random or random:SEED, a whole number")
        self._seed = int(name or 0)

    @property
    def model_id(self) -> str:
        return f"random:{self._seed}"

    async def rate(self, cases: Sequence[Case]) -> list[Rating]:
        return [Rating(self._lot(case)) for case in cases]

    def _lot(self, case: Case) -> float:
        return keyed_hash(self._seed, "meta", fingerprint(case.item), *place_of(case.judgment)) / 2.0**64
