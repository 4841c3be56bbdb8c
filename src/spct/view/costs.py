"""What runs and items cost, where the viewer was told prices: the tokens that a run kept, by the prices of its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from spct.errors import InputError
from spct.prices import Prices, find_prices
from spct.types import Usage


@dataclass(frozen=True, slots=True)
class Cost:
    """``value`` is None where there is no price, and ``words`` then say why."""

    value: float | None
    words: str

    @property
    def short(self) -> str:
        """The figure alone, or a dash."""
        return "–" if self.value is None else f"{self.value:,.4f}"


def cost_of(
    where: str, written: Mapping[str, Any], sessions: Sequence[tuple[str, dict[str, Any]]], usage: Usage
) -> Cost:
    """What ``usage`` costs by the prices in ``where`` (as of ``find_prices``) of the model in a run's settings.

    The address that the model was asked at is that of the last session that names one.
    """
    servers = [
        engine["server"]
        for _, facts in sessions
        if isinstance(engine := facts.get("engine"), dict) and "server" in engine
    ]
    try:
        prices = _prices(where, str(written.get("model")), servers[-1] if servers else None)
    except InputError as error:
        return Cost(None, str(error))
    value = prices.of_usage(usage)
    return Cost(None, "no price") if value is None else Cost(value, prices.told(value))


@lru_cache(maxsize=256)
def _prices(where: str, model: str, server: str | None) -> Prices:
    return find_prices(where, model, server)
