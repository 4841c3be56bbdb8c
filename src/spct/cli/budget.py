"""How much of an input is judged, and when a run stops by itself: by cost, tokens or time.

A run that stops begins no new item; what is begun is judged to its end and kept, since it is paid for. So that it ends below
its limit, a new item is begun only if the items begun would not pass the limit, each at the mean of those done so far.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click

from spct.errors import InputError
from spct.prices import TABLE, Prices, find_prices
from spct.types import Item, Usage
from spct.wording import spell_seconds

T = TypeVar("T")


class Duration(click.ParamType[float]):
    """Seconds, or with a unit: 90, 90s, 10m, 1.5h."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(value).strip())
        if match is None or not float(match[1]):
            self.fail(f"got {value!r}; expected seconds, or a time such as 90s, 10m or 1.5h", param, ctx)
        return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def part_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which part of the input is judged."""
    options = [
        click.option("--limit", type=click.IntRange(1), help="Judge the first so many items only."),
        click.option("--sample", type=click.IntRange(1), help="Judge so many items only, drawn at random by --seed."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def budget_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """When the run stops by itself."""
    options = [
        click.option(
            "--max-cost",
            type=click.FloatRange(0, min_open=True),
            help="Begin no item that would take the cost above this.",
        ),
        click.option(
            "--max-tokens-total",
            type=click.IntRange(1),
            help="Begin no item that would take prompt and completion tokens above this.",
        ),
        click.option(
            "--max-time", type=Duration(), metavar="TIME", help="Begin no item after this time: 90s, 10m, 1.5h."
        ),
        click.option(
            "--prices",
            metavar=f"FILE|{TABLE}",
            help=f"Show the cost, by the prices of this file, or by the dated table of genai-prices ({TABLE}).",
        ),
        click.option("--price-in", type=click.FloatRange(0), help="Take this price of a million prompt tokens."),
        click.option("--price-out", type=click.FloatRange(0), help="Take this price of a million completion tokens."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def part_of(items: Iterable[T], total: int, options: Mapping[str, Any]) -> Iterator[T]:
    """The items that ``--limit`` or ``--sample`` leave of ``total``, in their order."""
    limit, size = options["limit"], options["sample"]
    if size is None:
        yield from (item for place, item in enumerate(items) if limit is None or place < limit)
        return
    chosen = frozenset(random.Random(f"sample {options['seed']}").sample(range(total), min(size, total)))
    yield from (item for place, item in enumerate(items) if place in chosen)


def part_size(total: int, options: Mapping[str, Any]) -> int:
    """How many items ``part_of`` leaves. Raises InputError where both options are given."""
    if options["limit"] is not None and options["sample"] is not None:
        raise InputError("got --limit and --sample; expected one of them")
    size: int | None = options["limit"] if options["sample"] is None else options["sample"]
    return total if size is None else min(total, size)


def prices_of(options: Mapping[str, Any]) -> Prices:
    """The prices that the options name, of their one model. Raises InputError."""
    given = options.get("price_in"), options.get("price_out")
    where = options.get("prices")
    if where is None:
        return Prices(*given)
    if given != (None, None):
        raise InputError("got --prices and a price of a million tokens; expected one or the other")
    named = options["model"] or ()
    models = [named] if isinstance(named, str) else list(named)
    if len(models) != 1 or options.get("jury") or options.get("escalate"):
        raise InputError(
            "--prices is for one model; for several give --price-in and --price-out, which then hold for all"
        )
    elsewhere = os.environ.get("OPENAI_BASE_URL") if models[0].startswith("openai:") else None
    urls = options.get("base_url") or (elsewhere,)
    return find_prices(where, models[0], urls[0] or None)


@dataclass(slots=True)
class Budget:
    """What a run may use, and what it has used so far.

    ``stopped`` says why no further item is begun, None while that may be. ``clock`` gives seconds.
    """

    max_cost: float | None = None
    max_tokens: int | None = None
    max_time_s: float | None = None
    prices: Prices = field(default_factory=Prices)
    clock: Callable[[], float] = time.monotonic
    stopped: str | None = None
    _begun: int = 0
    _done: int = 0
    _replayed: int = 0
    _spent: Usage = field(default_factory=Usage)
    _of_done: Usage = field(default_factory=Usage)
    _started: float | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Budget:
        """The budget that the options give. Raises InputError for a cost without prices."""
        prices = prices_of(options)
        if options.get("max_cost") is not None and not prices:
            raise InputError(
                f"--max-cost needs the price of a million tokens: --price-in, --price-out or both, or --prices FILE|{TABLE}"
            )
        return cls(options.get("max_cost"), options.get("max_tokens_total"), options.get("max_time"), prices)

    def within(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, as long as there is budget to begin another one."""
        self._started = self.clock()
        for item in items:
            if (why := self._why_not()) is not None:
                self.stopped = why
                return
            self._begun += 1
            yield item

    def spend(self, usage: Usage) -> None:
        """Count a request that is answered."""
        self._spent += usage

    def done(self, usage: Usage) -> None:
        """Count an item that is judged; one without usage was in the run directory already and costs nothing."""
        if usage.requests or usage.prompt_tokens or usage.completion_tokens:
            self._done += 1
            self._of_done += usage
        else:
            self._replayed += 1

    def _why_not(self) -> str | None:
        """Why no item may be begun."""
        spent_s = self.clock() - (self._started or 0.0)
        if self.max_time_s is not None and spent_s >= self.max_time_s:
            return f"--max-time {spell_seconds(self.max_time_s)} is over"
        if self.max_tokens is not None and self._expected(_tokens) > self.max_tokens:
            return f"another item would pass --max-tokens-total {self.max_tokens:,}"
        if self.max_cost is not None and self._expected(self._cost) > self.max_cost:
            return f"another item would pass --max-cost {self.max_cost:g}"
        return None

    def _expected(self, measure: Callable[[Usage], float]) -> float:
        """What it comes to with one more item: what is spent, or each item begun at the mean of those done if that is more."""
        at_the_mean = measure(self._of_done) / self._done * (self._begun + 1 - self._replayed) if self._done else 0.0
        return max(measure(self._spent), at_the_mean)

    def _cost(self, usage: Usage) -> float:
        return self.prices.of_usage(usage) or 0.0


def _tokens(usage: Usage) -> float:
    return usage.prompt_tokens + usage.completion_tokens
