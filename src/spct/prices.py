"""What tokens cost: by prices that a user gives, by a file of them, or by the table of the package genai-prices.

A price goes with its date, since it may be old: a file says its own, the table that of its newest price. Failure rule: a model
that has no price is an InputError; none is taken for another's.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spct.errors import InputError
from spct.types import Usage
from spct.yaml_file import read_yaml

TABLE = "known"
"""In place of a file: the table of the package."""
PROVIDERS = {"gemini": "google"}
"""Kinds of engines that the table calls otherwise."""
_KEYS = {"in": "per_million_in", "out": "per_million_out", "cached": "per_million_cached"}


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of a million tokens; ``cached`` are the tokens of a prompt that were not processed again, else as ``in``.

    With one price alone the other kind of token is free. ``unit`` is what they are in, ``source`` where they are from.
    """

    per_million_in: float | None = None
    per_million_out: float | None = None
    per_million_cached: float | None = None
    unit: str = "in the unit of the prices given"
    source: str = ""

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self.per_million_in is not None or self.per_million_out is not None

    def of(self, prompt_tokens: float, completion_tokens: float, cached_tokens: float = 0) -> float | None:
        """What so many tokens cost, None without prices."""
        if not self:
            return None
        per_in = self.per_million_in or 0.0
        per_cached = per_in if self.per_million_cached is None else self.per_million_cached
        paid = (prompt_tokens - cached_tokens) * per_in + cached_tokens * per_cached
        return (paid + completion_tokens * (self.per_million_out or 0.0)) / 1e6

    def of_usage(self, usage: Usage) -> float | None:
        return self.of(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)

    def told(self, cost: float) -> str:
        """A cost as it is printed, with its unit and the date of the prices."""
        return f"{cost:,.4f} {self.unit}" + (f", {self.source}" if self.source else "")


def find_prices(where: str, model: str, base_url: str | None = None) -> Prices:
    """The prices of ``model``, ENGINE:NAME, in the file ``where`` or, for "known", in the table of genai-prices.

    ``base_url`` is the address that it is asked at, None for the provider's own. Raises InputError.
    """
    return _in_table(model, base_url) if where == TABLE else _in_file(Path(where), model)


def _in_file(path: Path, model: str) -> Prices:
    expected = "expected date: 2026-01-31, unit: EUR and models: {openai:NAME: {in: 0.15, out: 0.6}}"
    table = read_yaml(path).values
    if (
        not isinstance(table, dict)
        or not isinstance(table.get("models"), dict)
        or table.keys() - {"date", "unit", "models"}
    ):
        raise InputError(f"{path}: no file of prices: {expected}")
    date, unit = table.get("date"), table.get("unit", "USD")
    if type(date) is not datetime.date or not isinstance(unit, str):
        raise InputError(f"{path}: date or unit: got {date!r} and {unit!r}; {expected}")
    given = table["models"].get(model)
    if given is None:
        raise InputError(f"{path}: no price of {model}; it has {', '.join(map(str, table['models'])) or 'none'}")
    if (
        not isinstance(given, dict)
        or not given
        or given.keys() - _KEYS.keys()
        or not all(map(_is_price, given.values()))
    ):
        raise InputError(
            f"{path}: {model}: got {given!r}; expected prices of a million tokens, as {{in: 0.15, out: 0.6}}"
        )
    return Prices(**{_KEYS[key]: float(price) for key, price in given.items()}, unit=unit, source=f"prices of {date}")


def _is_price(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < float("inf")


def _in_table(model: str, base_url: str | None) -> Prices:
    try:
        from genai_prices import Usage as Asked
        from genai_prices import __version__, calc_price
    except ImportError as error:
        raise InputError(f"--prices {TABLE} needs the package {error.name}: pip install 'spct[prices]'") from error
    kind, _, name = model.partition(":")
    by: Mapping[str, Any] = (
        {"provider_id": PROVIDERS.get(kind, kind)} if base_url is None else {"provider_api_url": base_url}
    )
    try:
        found = calc_price(Asked(input_tokens=0, output_tokens=0), name, **by)
    except (LookupError, ValueError) as error:
        at = f" at {base_url}" if base_url else ""
        raise InputError(
            f"--prices {TABLE}: genai-prices {__version__} has no price of {model}{at}; give a file of prices "
            "(docs/costs.md), or, to a command that takes them, --price-in and --price-out"
        ) from error
    prices = {key: getattr(found.model_price, f"{name}_mtok", None) for key, name in _NAMES.items()}
    tiers = any(hasattr(price, "base") for price in prices.values())
    flat = {key: float(getattr(price, "base", price)) for key, price in prices.items() if price is not None}
    source = f"genai-prices {__version__}, whose newest price is of {_newest()}"
    return Prices(**flat, unit="USD", source=source + (", long prompts may cost more" if tiers else ""))


_NAMES = {"per_million_in": "input", "per_million_out": "output", "per_million_cached": "cache_read"}


def _newest() -> str:
    """The latest day up to today of which the table has a price: it has no date of its own."""
    from genai_prices import data

    conditional = [price for provider in data.providers for model in provider.models for price in _each(model.prices)]
    dates = [getattr(getattr(price, "constraint", None), "start_date", None) for price in conditional]
    today = datetime.date.today()
    return str(max((date for date in dates if date is not None and date <= today), default="an unknown day"))


def _each(prices: Any) -> list[Any]:
    return prices if isinstance(prices, list) else []
