"""Items as RL prompts: which item is asked at which visit, and in which order its responses are shown.

A visit is one prompt of one step; its G rollouts share it, so they share its order. Visits are numbered from 0 through
the whole training, and everything about one hangs on (seed, number, items) alone: a resumed run asks what an
uninterrupted one would, and two processes ask what one would. Epochs are shuffled anew; an item's orders in n epochs in
a row show each response in each place exactly once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from spct.errors import InputError
from spct.items import fingerprint
from spct.judges.settings import JudgeSettings
from spct.judges.template_choice import load_templates, template_for
from spct.templates import Template
from spct.train.common.labels import check_label
from spct.types import Item, Message
from spct.voting.orders import row_orders, shuffled

RENDERED = 4096
"""Prompts kept: those of a step are asked for when it is rendered and again when it is rewarded."""


def form_of(n: int) -> str:
    """What n responses are called in reports: single, pair or multi."""
    return "single" if n == 1 else "pair" if n == 2 else "multi"


class Templates:
    """The template of an item: ``single`` (0 or 1) for one response, else ``template`` or its form with a reference."""

    def __init__(self, template: str = "grm", single: str = "grm-single") -> None:
        self._settings = {True: JudgeSettings(template=single), False: JudgeSettings(template=template)}
        self._loaded = {key: load_templates(settings) for key, settings in self._settings.items()}

    def of(self, item: Item) -> Template:
        """Raises TemplateError where the item lacks what its template needs."""
        single = len(item.responses) == 1
        return template_for(item, self._settings[single], self._loaded[single])

    def used(self, items: Iterable[Item]) -> tuple[Template, ...]:
        """The templates of these items, that of most of them first."""
        counts = Counter(self.of(item) for item in items)
        return tuple(template for template, _ in counts.most_common())

    def digests(self) -> dict[str, str]:
        """A digest of every template's file, by name."""
        return {name: template.digest for loaded in self._loaded.values() for name, template in loaded.items()}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one visit asks: ``order[p]`` is the index of the response shown at place p."""

    visit: int
    item: Item
    order: tuple[int, ...]
    template: Template
    messages: tuple[Message, ...]

    @property
    def turns(self) -> list[dict[str, str]]:
        """The messages as chat templates take them."""
        return [{"role": message.role, "content": message.content} for message in self.messages]


class Schedule:
    """Every visit of a training run over ``items``.

    ``special_tokens`` are the tokenizer's control tokens, kept out of untrusted text. ``scale`` has every score that can be
    given. Raises InputError where there are no items, or a label that no judgment could meet.
    """

    def __init__(
        self, items: Sequence[Item], templates: Templates, *, seed: int = 0, special_tokens: Sequence[str] = ()
    ) -> None:
        if not items:
            raise InputError("there are no items to train on; see the report for what was left out, and why")
        used = {}
        for item in items:
            template = templates.of(item)
            check_label(item, template)
            used[template.name] = template.scale
        lows, highs = zip(*used.values(), strict=True)
        self.scale = range(math.floor(min(lows)), math.ceil(max(highs)) + 1)
        self._items = tuple(items)
        self._templates = templates
        self._seed = seed
        self._special_tokens = tuple(special_tokens)
        self.prompt = lru_cache(maxsize=RENDERED)(self._prompt)
        self._permutation = lru_cache(maxsize=2)(self._shuffled)

    def __len__(self) -> int:
        """Visits in one epoch: one per item."""
        return len(self._items)

    def _shuffled(self, epoch: int) -> tuple[int, ...]:
        return shuffled(len(self._items), self._seed, "epoch", epoch)

    def _prompt(self, visit: int) -> Prompt:
        epoch, place = divmod(visit, len(self._items))
        item = self._items[self._permutation(epoch)[place]]
        orders = row_orders(len(item.responses), epoch + 1, seed=self._seed, key=fingerprint(item))
        order = orders[epoch % len(orders)]
        template = self._templates.of(item)
        messages = template.render(item, order, special_tokens=self._special_tokens)
        return Prompt(visit, item, order, template, messages)

    def collate(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows ``{"visit": v}`` of the trainer's data set, with their prompts."""
        return [{"visit": row["visit"], "prompt": self.prompt(row["visit"]).turns} for row in rows]
