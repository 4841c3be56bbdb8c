"""Hinted sampling: the sampling prompt says which response is best. The training prompt never does.

The paper appends "the best response is: response j" to the input, for HelpSteer2 with the strength of the preference. j is
the place at which the response is shown. For a single response, where the paper says nothing, we state its label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spct.engines.asking import split_begun
from spct.engines.engine import Engine
from spct.errors import InputError
from spct.judges.grm import GRMJudge
from spct.judges.settings import JudgeSettings
from spct.templates import Template
from spct.types import Item, Message

STRENGTHS = {1: "slightly better", 2: "clearly better", 3: "much better"}
"""What HelpSteer's preference strengths say of the best response; rows carry them under ``strength``."""


def hint_of(item: Item, order: Sequence[int]) -> str:
    """The hint for this order of the responses. Raises InputError if there is nothing to hint at."""
    if len(item.responses) == 1:
        if item.rewards_N is None:
            raise InputError(f"item {item.id!r} has no label to hint at; give it one, or sample without hints")
        return f"Hint: the correct score is: {item.rewards_N[0]:g}"
    if item.best is None or item.best not in order:
        raise InputError(f"item {item.id!r} has no single best response to hint at among those shown")
    strength = _strength(item)
    added = f" (it is {STRENGTHS[strength]} than the other)" if strength and len(order) == 2 else ""
    return f"Hint: the best response is: response {list(order).index(item.best) + 1}{added}"


def _strength(item: Item) -> int | None:
    value = item.extra.get("strength")
    if value is None:
        return None
    if isinstance(value, bool) or value not in STRENGTHS:
        raise InputError(f"item {item.id!r}: got strength {value!r}; expected 1, 2 or 3 (how much better the best is)")
    return int(value)


class HintedTemplate(Template):
    """A template whose prompts end in the hint; it parses as the plain one does."""

    def __init__(self, plain: Template) -> None:
        super().__init__(plain._source)

    def render(self, item: Item, order: Sequence[int], **options: Any) -> tuple[Message, ...]:
        messages = super().render(item, order, **options)
        (*before, last), begun = split_begun(messages)
        hinted = Message(last.role, f"{last.content}\n\n{hint_of(item, order)}")
        return (*before, hinted, *messages[-1:]) if begun else (*before, hinted)


class HintedJudge(GRMJudge):
    """A judge that is told the truth before it judges."""

    def __init__(self, engine: Engine, settings: JudgeSettings) -> None:
        super().__init__(engine, settings)
        self._hinted = {template.name: HintedTemplate(template) for template in self.templates.values()}

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "hint": "best"}

    def template_of(self, item: Item) -> Template:
        return self._hinted[super().template_of(item).name]
