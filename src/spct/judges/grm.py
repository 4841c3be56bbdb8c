"""One item, from query and responses to verdict: plan the samples, take them, vote.

Failure rule: what concerns one item (a prompt that can never fit, a request the server rejects to the end) becomes that
item's error; what concerns the run (no server, wrong key) is raised. An invalid judgment is data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from spct.aio import aside, gather_all
from spct.engines.asking import held_in_effect
from spct.engines.engine import Engine
from spct.errors import ContextLengthError, InputError, RequestError
from spct.items import fingerprint
from spct.items.budget import within_budget
from spct.items.copies import apart, copies_of
from spct.judges.first_steps import FirstSteps, Step, given_to, step_of
from spct.judges.memory import NO_MEMORY, Memory, MemoryOfTexts, Prompt
from spct.judges.room import Room
from spct.judges.sampling import History, Stream, StreamSampler
from spct.judges.settings import JudgeSettings
from spct.judges.template_choice import check_images, lenience_in, load_templates, noise_in, template_for
from spct.judges.verdicts import no_verdict, verdict_of
from spct.meta import MetaRM
from spct.meta.cases import make_cases
from spct.templates import Given, Template
from spct.types import Item, ItemError, Judgment, Message, Usage
from spct.voting.adaptive import FIRST_LOOK, settled
from spct.voting.blocks import block_orders
from spct.voting.orders import row_orders, seed_base
from spct.voting.ratings import Ratings, place_of
from spct.voting.rows import rows_of
from spct.voting.verdict import Verdict

MANY_SCORES = 4096
"""More are voted on in another thread: it takes tens of milliseconds."""


class GRMJudge:
    """Turns items into verdicts with one engine and one set of settings; safe for many items at once.

    With ``meta``, a meta RM that the caller starts and closes like the engine, the vote is over the judgments that it
    rates best.
    """

    def __init__(self, engine: Engine, settings: JudgeSettings | None = None, *, meta: MetaRM | None = None) -> None:
        self.engine = engine
        self.settings = settings or JudgeSettings()
        self.meta = meta
        _check_meta(self.settings, meta)
        if self.settings.rubric is not None:
            raise InputError("settings name a rubric, which the judge rubric judges by; use it, or drop the rubric")
        self.templates = load_templates(self.settings)
        sampling = self.settings.resolved_sampling
        self._samplers = {
            template.name: StreamSampler(engine, template, sampling) for template in self.templates.values()
        }
        self._first_steps = FirstSteps(engine, sampling, self.settings.seed)

    @property
    def noise(self) -> float:
        """How much its margins vary as far as its template's scale tells, in squared points."""
        return noise_in(self.templates, self.settings.template)

    def describe(self) -> dict[str, Any]:
        """Everything a verdict depends on besides the items, as one flat dict of JSON values.

        The grammar is the one in effect, which an engine may know only once started. Concurrency, addresses and limits are
        not in it: they may change between the sessions of one run.
        """
        settings = asdict(self.settings)
        sampling = asdict(self.settings.resolved_sampling)
        for name in ("sampling", "rubric", "criteria", "jury"):
            del settings[name]
        if self.settings.adaptive is None:
            del settings["adaptive_round"]
        if self.settings.trajectory_chars is None:
            del settings["trajectory_chars"]
        digests = {f"template.{name}": template.digest for name, template in sorted(self.templates.items())}
        meta = {} if self.meta is None else {"meta": self.meta.model_id}
        main = self.templates[self.settings.template]
        sampling |= held_in_effect(main, self.engine, wanted=self.settings.sampling.grammar)
        if (lenient := lenience_in(self.templates)) is not None:
            settings["lenient"] = lenient
        return {"model": self.engine.model_id, **meta, **settings, **sampling, **digests}

    def check(self, item: Item) -> None:
        """Raise TemplateError if the item lacks what its template needs, or has images that the engine does not take."""
        self.template_of(item)

    def template_of(self, item: Item) -> Template:
        """The template this item is judged by; raises TemplateError where the item does not suit it or the engine."""
        check_images(item, self.engine.model_id, taken=self.engine.capabilities.images)
        return template_for(item, self.settings, self.templates)

    async def judge(self, item: Item, memory: Memory = NO_MEMORY) -> Verdict:
        """Sample what ``memory`` lacks of the item's k judgments, rate what it has no rating of, and vote.

        Raises TemplateError if the item does not suit the template, EngineError if the engine or the meta RM cannot go on.
        """
        template = self.template_of(item)
        copies = copies_of(item.responses)
        if template.refuses(len(copies.groups)):  # one text twice is nothing to choose from; it is shown twice
            copies = apart(item.responses)
        once = within_budget(copies.once(item), self.settings.trajectory_chars)
        task = _Task(once, MemoryOfTexts(memory, copies), Room(self.engine, once))
        error: ItemError | None = None
        judgments: list[Judgment] = []
        ratings: Ratings = {}
        try:
            judgments = await self._sample(task, template)
            if self.meta is not None:
                ratings = await self._rate(self.meta, task, template, judgments)
        except RequestError as failure:
            error = ItemError(type(failure).__name__, str(failure))
            judgments = task.sampled()
        finally:
            template.forget(task.item)
            if (step := self._step(template)) is not None:
                step.template.forget(task.item)
        settings, judgments = self.settings, [copies.spread(judgment) for judgment in judgments]
        if error is not None:
            return no_verdict(item, settings, error, judgments, task.usage)
        rated = None if self.meta is None else ratings
        vote = partial(verdict_of, item, settings, judgments, ratings=rated, usage=task.usage, noise=self.noise)
        return await aside(vote, len(judgments) * len(item.responses) > MANY_SCORES)

    async def _rate(self, meta: MetaRM, task: _Task, template: Template, judgments: Sequence[Judgment]) -> Ratings:
        """The ratings in memory and those of the valid judgments that it lacks."""
        rated = task.ratings()
        missing = [j for j in judgments if j.problem is None and place_of(j) not in rated]
        if not missing:
            return rated
        for judgment in missing:
            await self._write_first(task, template, judgment.order)

        def given(_: Item, order: Sequence[int]) -> Given:
            return self._given(task, template, order, task.first_texts)

        cases = make_cases(task.item, missing, template, given, special_tokens=meta.special_tokens)
        ratings = await meta.rate(cases)
        fresh = {place_of(j): rating for j, rating in zip(missing, ratings, strict=True)}
        task.memory.record_ratings(fresh)
        return {**rated, **fresh}

    async def _sample(self, task: _Task, template: Template) -> list[Judgment]:
        """All judgments; blocks shrink until they fit the context."""
        n = len(task.item.responses)
        size = min(n, self.settings.block_size or n)
        while True:
            try:
                await self._check_fit(task, template, size)
                if size == n:
                    return await self._rounds(task, template)
                return await self._run(task, template, self._blocks(task, size))
            except ContextLengthError as error:
                if size <= 2:
                    raise _never_fits(task.item, size, error) from error
                size = max(2, size * 2 // 3)

    async def _rounds(self, task: _Task, template: Template) -> list[Judgment]:
        """All k judgments at once, or round by round until the winner is settled.

        Whether to go on depends on the judgments so far alone, so a resumed or repeated run stops at the same place.
        """
        settings = self.settings
        if settings.adaptive is None or task.memory.pilot:
            return await self._run(task, template, self._whole(task, 0, settings.k))
        judgments: list[Judgment] = []
        start, end = 0, max(FIRST_LOOK, settings.adaptive_round)
        while start < settings.k:
            end = min(end, settings.k)
            judgments += await self._run(task, template, self._whole(task, start, end))
            noise = await task.memory.noise() or self.noise
            if end < settings.k and self._is_settled(judgments, settings.k - end, noise):
                break
            start, end = end, end + settings.adaptive_round
        return judgments

    def _is_settled(self, judgments: Sequence[Judgment], more: int, noise: float) -> bool:
        """Whether the winner stays with ``more`` judgments to come, of which none is taken to be invalid."""
        settings = self.settings
        rows = rows_of(judgments, len(judgments[0].order), settings.rule)
        if not rows or settings.adaptive is None:
            return False
        return settled(rows, len(rows) + more, settings.adaptive, noise)

    async def _run(self, task: _Task, template: Template, streams: Sequence[Stream]) -> list[Judgment]:
        sampler = self._samplers[template.name]
        special = self.engine.capabilities.special_tokens

        def messages(stream: Stream) -> tuple[Message, ...]:
            given = self._given(task, template, stream.order, task.first_texts)
            return template.render(task.item, stream.order, given=given, special_tokens=special)

        async def in_turn(stream: Stream) -> list[Judgment]:
            async with task.room.place:
                await self._write_first(task, template, stream.order)
                prompt = await task.room.render(partial(messages, stream))
                return await sampler.run(stream, prompt, task.history, task.record)

        parts = await gather_all([in_turn(stream) for stream in streams])
        return sorted((j for part in parts for j in part), key=lambda j: (j.index, j.block, j.attempt))

    def _whole(self, task: _Task, start: int, end: int) -> list[Stream]:
        """The streams of the judgments from ``start`` to ``end``, with the orders and the seeds of the whole plan."""
        settings = self.settings
        n, key = len(task.item.responses), task.key
        orders = row_orders(n, end, seed=settings.seed, key=key, ordering=settings.ordering)
        base, rows = seed_base(settings.seed, key), len(orders)
        return [
            # Seeds count samples from a stream's first: one that begins in the middle of its row begins there too.
            Stream(orders[i % rows], tuple(range(i, end, rows)), base + i // rows, row=i % rows)
            for i in range(start, min(start + rows, end))
        ]

    def _blocks(self, task: _Task, size: int) -> list[Stream]:
        settings, n = self.settings, len(task.item.responses)
        streams = []
        for index in range(settings.k):
            orders = block_orders(n, size, seed=settings.seed, key=task.key, index=index)
            for block, order in enumerate(orders):
                base = seed_base(settings.seed, f"{task.key} {size} {block}")
                streams.append(Stream(order, (index,), base, row=index, block=block))
        return streams

    async def _check_fit(self, task: _Task, template: Template, size: int) -> None:
        """Raise ContextLengthError if ``size`` responses may not fit, where the engine can tell beforehand."""
        await self._write_first(task, template, ())
        context = self.engine.capabilities.context_tokens
        if context is None:
            return
        longest = sorted(range(len(task.item.responses)), key=lambda i: -len(task.item.responses[i]))[:size]
        # A text that depends on the order is not written yet: how much room it takes shows when it is asked.
        step = self._step(template)
        unwritten = {} if step is None else {step.key(task.item, longest): ""}
        given = self._given(task, template, longest, {**unwritten, **task.first_texts})
        special = self.engine.capabilities.special_tokens
        render = partial(template.render, task.item, longest, given=given, special_tokens=special)
        messages = await task.room.render(render)
        room = context - self.settings.sampling.max_tokens
        if sum(len(message.content.encode()) for message in messages) + 64 <= room:
            return  # a token is at least one byte
        tokens = await self.engine.count_tokens(messages)
        if tokens is not None and tokens > room:
            raise ContextLengthError(
                f"the prompt has {tokens} tokens, which with max_tokens {self.settings.sampling.max_tokens} is more than "
                f"the context of {context}",
                tokens,
                context,
            )

    def _step(self, template: Template) -> Step | None:
        return step_of(template, self.settings, self.templates)

    async def _write_first(self, task: _Task, template: Template, order: Sequence[int]) -> None:
        """Have the first step's text for this order; for an empty one only if it is the same for all orders."""
        step = self._step(template)
        if step is None or (step.template.shows_responses and not order):
            return
        if (key := step.key(task.item, order)) not in task.first_texts:
            kept = task.memory.first_texts
            task.first_texts[key] = await self._first_steps.text_of(step, task.item, order, kept, task.record)

    def _given(self, task: _Task, template: Template, order: Sequence[int], written: Mapping[str, str]) -> Given:
        return given_to(task.item, order, self._step(template), self.settings, written)


class _Task:
    """An item on its way: its key, what is known of it already, the texts of its first steps, and what it has cost."""

    def __init__(self, item: Item, memory: Memory, room: Room) -> None:
        self.item = item
        self.memory = memory
        self.history: History = {place_of(judgment): judgment for judgment in memory.history}
        self.key = fingerprint(item)
        self.room = room
        self.usage = Usage()
        self.first_texts: dict[str, str] = {}
        self._fresh: list[Judgment] = []

    def record(self, judgments: Sequence[Judgment], usage: Usage, prompt: Prompt) -> None:
        self.usage += usage
        self._fresh += judgments
        self.memory.record(judgments, usage, prompt)

    def ratings(self) -> Ratings:
        """Those in memory, but for places that were sampled again, whose judgments are others now."""
        fresh = {place_of(judgment) for judgment in self._fresh}
        return {place: rating for place, rating in self.memory.ratings.items() if place not in fresh}

    def sampled(self) -> list[Judgment]:
        """Everything there is of the item when it fails half way."""
        kept = {**self.history, **{place_of(judgment): judgment for judgment in self._fresh}}
        return [kept[place] for place in sorted(kept)]


def _check_meta(settings: JudgeSettings, meta: MetaRM | None) -> None:
    if meta is None and settings.k_meta is not None:
        raise InputError(f"k_meta is {settings.k_meta} and there is no meta RM; name one with --meta, or drop k_meta")
    if meta is not None and settings.adaptive is not None:
        raise InputError(
            "adaptive k stops by the plain vote's margins, and a meta RM votes over a part of the judgments: use one "
            "of them, or rate the finished run with spct meta"
        )


def _never_fits(item: Item, size: int, error: ContextLengthError) -> ContextLengthError:
    shown = "its response" if len(item.responses) == 1 else f"even {size} of its {len(item.responses)} responses"
    return ContextLengthError(
        f"item {item.id!r} can never fit: {shown} at a time: {error}; use a longer context or a smaller max_tokens",
        error.prompt_tokens,
        error.context_tokens,
    )
