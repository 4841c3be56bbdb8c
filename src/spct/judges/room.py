"""The prompts of an item, made as there is room to ask them.

An item of megabytes, or in thousands of blocks, would else be held as often as it is asked; and rendering a large one takes so
long that it is done in another thread, where it holds up nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from spct.engines.engine import Engine
from spct.turns import words_of
from spct.types import Item, Message

LARGE_CHARS = 250_000
"""An item with more text is large,"""
LARGE_AT_ONCE = 2
"""and so many of its prompts are asked at a time."""


class Room:
    """Room for the prompts of one item. ``place`` is held while one is made and asked."""

    def __init__(self, engine: Engine, item: Item) -> None:
        words = [word for turn in item.messages for word in words_of(turn)]
        self.is_large = sum(map(len, (*item.responses, *words))) > LARGE_CHARS
        self.place = asyncio.Semaphore(LARGE_AT_ONCE if self.is_large else max(1, engine.capabilities.concurrency))
        self._rendering = asyncio.Lock()

    async def render(self, make: Callable[[], tuple[Message, ...]]) -> tuple[Message, ...]:
        """What ``make`` gives; of a large item one prompt after the other, as the texts are sealed with the first."""
        if not self.is_large:
            return make()
        async with self._rendering:
            return await asyncio.to_thread(make)
