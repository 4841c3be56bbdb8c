"""What the tests of the service judge with: a scripted engine that can be held, a service over it, and items to judge."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from spct.engines import SampleRequest
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.judges.sampling import SamplingSettings
from spct.judges.settings import JudgeSettings
from spct.service.judges import grm_judges
from spct.service.service import RewardService
from spct.types import Item, Message

SETTINGS = JudgeSettings(k=1, sampling=SamplingSettings(retries=0))
SHOWN = re.compile(r"\[Begin response \d+ \w+\]\n(.*?)\n\[End response", re.DOTALL)


def by_digit(request: SampleRequest, j: int) -> str:
    """A judge that scores a response by its first digit, 1 where it has none."""
    shown = SHOWN.findall(request.messages[-1].content)
    return judgment_text([int(found[0]) if (found := re.findall(r"[1-9]", text)) else 1 for text in shown])


class Gate:
    """A script that answers ``by_digit`` once ``open`` is set; ``begun`` and ``cancelled`` count its samples."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.begun = self.cancelled = 0
        self.arrived = asyncio.Event()

    async def __call__(self, request: SampleRequest, j: int) -> str:
        self.begun += 1
        self.arrived.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return by_digit(request, j)


def gated() -> tuple[Gate, ScriptedEngine]:
    gate = Gate()
    return gate, ScriptedEngine(gate)


def service_of(engine: ScriptedEngine, settings: JudgeSettings = SETTINGS, **options: Any) -> RewardService:
    return RewardService(grm_judges(engine), settings, **options)


def item(*responses: str, query: str = "Which is best?", id: str = "") -> Item:
    return Item(id, (Message("user", query),), responses)


async def settle() -> None:
    """Let everything that can run now run."""
    for _ in range(20):
        await asyncio.sleep(0)
