"""One judge for items of mixed n: single responses are scored 0 or 1 by a template of their own, the others 1 to 10.

Follows ``spct.judges.judge.Judge``, so that such items can share one run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spct.engines.engine import Engine
from spct.judges.grm import GRMJudge
from spct.judges.memory import NO_MEMORY, Memory
from spct.judges.settings import JudgeSettings
from spct.templates import Template
from spct.types import Item
from spct.voting.verdict import Verdict


class MixedJudge:
    """``kind`` makes both judges; ``single`` names the template of items with one response."""

    meta = None

    def __init__(self, kind: type[GRMJudge], engine: Engine, settings: JudgeSettings, single: str) -> None:
        self.engine = engine
        self.settings = settings
        self._many = kind(engine, settings)
        self._one = kind(engine, replace(settings, template=single))

    def describe(self) -> dict[str, Any]:
        one = self._one.describe()
        digests = {name: value for name, value in one.items() if name.startswith("template.")}
        return {**self._many.describe(), **digests, "single_template": one["template"]}

    @property
    def noise(self) -> float:
        return self._many.noise

    @property
    def templates(self) -> Mapping[str, Template]:
        """Every template that an item may be judged by."""
        return {**self._many.templates, **self._one.templates}

    def template_of(self, item: Item) -> Template:
        """Raises TemplateError where the item lacks what its template needs."""
        return self._for(item).template_of(item)

    def check(self, item: Item) -> None:
        self._for(item).check(item)

    async def judge(self, item: Item, memory: Memory = NO_MEMORY) -> Verdict:
        return await self._for(item).judge(item, memory)

    def _for(self, item: Item) -> GRMJudge:
        return self._one if len(item.responses) == 1 else self._many
