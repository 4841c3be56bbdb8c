"""First steps: a text that the judge writes before it judges, and that the prompt of its judgment then shows.

A template names the template of its first step (``first``); ``principles="query"`` is one too, whose text are the
principles. A step that is not shown the responses is asked once per query, before any response is seen, and its text is
used for every judgment of that query: principles written after seeing the responses drift and can be gamed in RL (arXiv
2602.10019). A step that is shown them is asked once for each order in which they are shown, since it may name them by
number. Failure rule: a step that comes to no text is a RequestError, which is the item's.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Literal, NamedTuple

from spct.engines.asking import Held, ask, held_to
from spct.engines.engine import Engine, SampleRequest
from spct.errors import RequestError, TemplateError
from spct.items import fingerprint
from spct.judges.memory import Record
from spct.judges.sampling import SamplingSettings
from spct.judges.settings import JudgeSettings
from spct.templates import Given, Template
from spct.types import Item
from spct.voting.orders import sample_seed, seed_base

KEPT_IN_MEMORY = 4096
"""Texts that are remembered without a run directory, which keeps them all."""


class Step(NamedTuple):
    """A first step: the variable of the prompt that shows its text, and its template."""

    variable: Literal["principles", "first"]
    template: Template

    def key(self, item: Item, order: Sequence[int]) -> str:
        """What its text depends on: the conversation and the reference; the responses as shown, if they are."""
        if self.template.shows_responses:
            return f"{fingerprint(item)} {'-'.join(map(str, order))}"
        return fingerprint(Item("", item.messages, (), reference=item.reference))


def step_of(template: Template, settings: JudgeSettings, templates: Mapping[str, Template]) -> Step | None:
    """The first step of ``template``, None if it has none; ``templates`` are those of ``load_templates``."""
    if settings.principles == "query":
        return Step("principles", templates["principles"])
    return None if template.first is None else Step("first", templates[template.first])


def given_to(
    item: Item, order: Sequence[int], step: Step | None, settings: JudgeSettings, written: Mapping[str, str]
) -> Given:
    """What a prompt is given besides the item; the text of its first step is looked up in ``written``.

    Raises TemplateError if it is not there.
    """
    if step is None:
        return {"principles": item.principles} if settings.principles == "given" and item.principles else {}
    text = written.get(step.key(item, order))
    if text is None:
        raise TemplateError(
            f"item {item.id!r}: the run does not keep what its first step ({step.template.name}) wrote; finish it with "
            "--resume first"
        )
    return {step.variable: text}


class FirstSteps:
    """Asks first steps and remembers their texts; whoever needs the same text at once shares the request."""

    def __init__(self, engine: Engine, settings: SamplingSettings, seed: int) -> None:
        self.engine = engine
        self.settings = settings
        self.seed = seed
        self._recent: MutableMapping[str, str] = _Recent()
        self._writing: dict[str, asyncio.Task[str]] = {}

    async def text_of(
        self, step: Step, item: Item, order: Sequence[int], kept: MutableMapping[str, str] | None, record: Record
    ) -> str:
        """The step's text for the item: the one in ``kept`` (None: in memory), else written now and put there.

        Raises RequestError if no attempt writes any.
        """
        kept = self._recent if kept is None else kept
        key = step.key(item, order)
        if (found := kept.get(key)) is not None:
            return found
        if key not in self._writing:
            self._writing[key] = task = asyncio.create_task(self._write(step.template, item, order, key, kept, record))
            task.add_done_callback(lambda _: self._writing.pop(key))
        return await asyncio.shield(self._writing[key])  # one waiter's cancellation is not the others'

    async def _write(
        self,
        template: Template,
        item: Item,
        order: Sequence[int],
        key: str,
        kept: MutableMapping[str, str],
        record: Record,
    ) -> str:
        settings = self.settings
        shown = order if template.shows_responses else ()
        messages = template.render(item, shown, special_tokens=self.engine.capabilities.special_tokens)
        held = held_to(template, len(shown), settings.max_tokens, self.engine) if settings.grammar else Held()
        detail = ""
        for attempt in range(settings.retries + 1):
            request = SampleRequest(
                messages,
                seed=sample_seed(seed_base(self.seed, key), 0, attempt, 0),
                temperature=settings.temperature,
                top_p=settings.top_p,
                max_tokens=settings.max_tokens,
                **held._asdict(),
            )
            batch = await ask(self.engine, request)
            record([], batch.usage, messages)
            parsed = template.parse(batch.samples[0].text, len(shown), batch.samples[0].finish_reason)
            if parsed.problem is None:
                kept[key] = parsed.text
                return parsed.text
            detail = parsed.problem.detail
        raise RequestError(
            f"the first step {template.name} came to no text in {settings.retries + 1} attempts: {detail}"
        )


class _Recent(OrderedDict[str, str]):
    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key, value)
        if len(self) > KEPT_IN_MEMORY:
            self.popitem(last=False)
