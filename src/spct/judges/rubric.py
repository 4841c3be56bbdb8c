"""A judge by a rubric: each criterion is a question of its own, or all of them are one; checks are made here.

A judgment answers one criterion for all n responses: its ``block`` is the criterion's place in the rubric, its scores are
the answers as given, and what they add up to is ``voting.by_criterion``. Orders are balanced within every criterion, and
all criteria show the same order to sample i, so that prompts share everything up to the question. An answer to all
criteria at once is kept as a judgment for each of them; its text stands with the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from spct.aio import gather_all
from spct.engines.asking import Held, held_in_effect
from spct.engines.engine import Engine, Sample
from spct.errors import InputError, RequestError
from spct.items import fingerprint
from spct.items.budget import within_budget
from spct.items.copies import copies_of
from spct.judges.memory import NO_MEMORY, Memory, MemoryOfTexts, Prompt, Record
from spct.judges.rival import refuse
from spct.judges.room import Room
from spct.judges.rubric_prompts import BASE, criterion_template, joint_template
from spct.judges.sampling import History, SampleScores, SamplingSettings, Stream, StreamSampler
from spct.judges.settings import JudgeSettings
from spct.judges.template_choice import check_images
from spct.judges.verdicts import no_verdict, verdict_of
from spct.meta import MetaRM
from spct.rubrics import Criterion, Rubric
from spct.templates import Template, load_template
from spct.types import Item, ItemError, Judgment, Message, Problem, Usage
from spct.voting.noise import scale_noise
from spct.voting.orders import row_orders, seed_base
from spct.voting.ratings import place_of
from spct.voting.verdict import Verdict


class RubricJudge:
    """Judges by ``settings.rubric``. ``settings.k`` is the most answers to a criterion; its own ``k`` may ask for fewer."""

    noise = scale_noise(0, 1)
    meta: MetaRM | None = None

    def __init__(self, engine: Engine, settings: JudgeSettings) -> None:
        if settings.rubric is None:
            raise InputError("the judge rubric has no rubric; name one with --rubric FILE.yaml")
        if settings.template not in ("grm", BASE):
            raise InputError(f"the judge rubric has prompts of its own; drop --template {settings.template}")
        refuse("rubric", settings)
        self.engine = engine
        self.settings = replace(settings, template=BASE)
        self.rubric: Rubric = settings.rubric
        judged, sampling = self.rubric.judged, settings.resolved_sampling
        self._joint = settings.criteria == "joint" and len(judged) > 1
        self._samplers: dict[int, StreamSampler] = {}
        if self._joint:
            template = joint_template(self.rubric)
            self._samplers[judged[0]] = _JointSampler(engine, template, sampling, self.rubric)
        else:
            for place in judged:
                template = criterion_template(self.rubric.criteria[place])
                self._samplers[place] = StreamSampler(engine, template, sampling)
        asked = [sampler.template for sampler in self._samplers.values()]
        self.templates = {BASE: load_template(BASE), **{template.name: template for template in asked}}

    def describe(self) -> dict[str, Any]:
        """As the contract says; the rubric's whole text is in it, with the schemas that it names."""
        settings, sampling = self.settings, self.settings.resolved_sampling
        budget = {} if settings.trajectory_chars is None else {"trajectory_chars": settings.trajectory_chars}
        return {
            "judge": "rubric",
            "model": self.engine.model_id,
            "k": settings.k,
            "seed": settings.seed,
            "rule": settings.rule,
            "tie_rule": settings.tie_rule,
            "rubric": self.rubric.as_row(),
            "criteria": settings.criteria,
            "ordering": settings.ordering,
            "template": BASE,
            f"template.{BASE}": self.templates[BASE].digest,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "retries": sampling.retries,
            **held_in_effect(self.templates[BASE], self.engine, wanted=sampling.grammar),
            **budget,
        }

    def check(self, item: Item) -> None:
        """Raise TemplateError for images that the engine does not take; every other item can be judged by a rubric."""
        check_images(item, self.engine.model_id, taken=self.engine.capabilities.images)

    async def judge(self, item: Item, memory: Memory = NO_MEMORY) -> Verdict:
        self.check(item)
        copies = copies_of(item.responses)
        task = _Task(copies.once(item), MemoryOfTexts(memory, copies))
        error: ItemError | None = None
        try:
            judgments = [*self._check(task), *await self._ask(task)]
        except RequestError as failure:
            error = ItemError(type(failure).__name__, str(failure))
            judgments = list(task.known.values())
        judgments = [copies.spread(judgment) for judgment in sorted(judgments, key=place_of)]
        if error is not None:
            return no_verdict(item, self.settings, error, judgments, task.usage)
        return verdict_of(item, self.settings, judgments, usage=task.usage, noise=self.noise)

    def _check(self, task: _Task) -> list[Judgment]:
        """What the checks find; those that are not made yet are made, and those again that could not say."""
        found = []
        for place, criterion in enumerate(self.rubric.criteria):
            if criterion.check is not None:
                made = task.known.get((0, place, 0))
                if made is None or made.problem is not None:
                    task.record([checked(task.item, criterion, place)], Usage(), ())
                found.append(task.known[0, place, 0])
        return found

    async def _ask(self, task: _Task) -> list[Judgment]:
        """The answers to all judged criteria, retries included."""
        n, settings = len(task.item.responses), self.settings
        key = fingerprint(task.item)
        orders = row_orders(n, settings.k, seed=settings.seed, key=key, ordering=settings.ordering)
        rows = len(orders)
        special = self.engine.capabilities.special_tokens
        shown = within_budget(task.item, settings.trajectory_chars)  # what is checked is the whole of it
        asked = n * len(self.rubric.judged) if self._joint else n
        room = Room(self.engine, shown)

        async def in_turn(sampler: StreamSampler, stream: Stream) -> list[Judgment]:
            async with room.place:
                render = partial(sampler.template.render, shown, stream.order, special_tokens=special, asked=asked)
                return await sampler.run(stream, await room.render(render), task.known, task.record)

        waiting = []
        for row in range(min(settings.k, rows)):  # by order first: the prompts of one order begin alike
            for place, sampler in self._samplers.items():
                k = settings.k if self._joint else self.rubric.k_of(place, settings.k)
                base = seed_base(settings.seed, f"{key} {sampler.template.name}")
                stream = Stream(orders[row], tuple(range(row, k, rows)), base, row=row, block=place)
                waiting.append(in_turn(sampler, stream))
        try:
            return [judgment for part in await gather_all(waiting) for judgment in part]
        finally:
            for sampler in self._samplers.values():
                sampler.template.forget(shown)


class _Task:
    """An item on its way: every judgment there is of it, by place, and what making the new ones has cost."""

    def __init__(self, item: Item, memory: Memory) -> None:
        self.item = item
        self.usage = Usage()
        self.known: dict[tuple[int, int, int], Judgment] = {place_of(j): j for j in memory.history}
        self._memory = memory

    def record(self, judgments: Sequence[Judgment], usage: Usage, prompt: Prompt) -> None:
        self.usage += usage
        self.known.update({place_of(judgment): judgment for judgment in judgments})
        self._memory.record(judgments, usage, prompt)


def checked(item: Item, criterion: Criterion, place: int) -> Judgment:
    """What a check finds of every response, as the one judgment of its criterion; invalid where it cannot say of one."""
    assert criterion.check is not None
    found = [criterion.check.run(item, response) for response in item.responses]
    values = [part.value for part in found if part.value is not None]
    bad = next((i for i, part in enumerate(found) if part.value is None), None)
    return Judgment(
        index=0,
        order=tuple(range(len(found))),
        seed=0,
        text="\n".join(f"Response {number}: {part.said}" for number, part in enumerate(found, 1)),
        finish_reason="stop",
        scores=tuple(values) if bad is None else None,
        problem=None if bad is None else Problem("check_failed", f"response {bad}: {found[bad].said}"),
        block=place,
    )


class _JointSampler(StreamSampler):
    """Reads the answers to all judged criteria from one box, and keeps them as a judgment for each criterion."""

    def __init__(self, engine: Engine, template: Template, settings: SamplingSettings, rubric: Rubric) -> None:
        super().__init__(engine, template, settings)
        self._judged = rubric.judged

    async def run(
        self, stream: Stream, messages: tuple[Message, ...], history: History, record: Record
    ) -> list[Judgment]:
        def record_parts(judgments: Sequence[Judgment], usage: Usage, prompt: Prompt) -> None:
            record([part for judgment in judgments for part in self._parts(judgment)], usage, prompt)

        whole = await super().run(stream, messages, self._joined(history), record_parts)
        return [part for judgment in whole for part in self._parts(judgment)]

    def _read(self, stream: Stream, places: tuple[int, ...], sample: Sample, held: bool) -> SampleScores:
        n = len(stream.order)
        parsed = self.template.parse(sample.text, n * len(self._judged), sample.finish_reason, sections=False)
        if parsed.scores is None:
            return SampleScores(None, parsed.problem)
        starts = range(0, n * len(self._judged), n)
        return SampleScores(tuple(parsed.scores[start + place] for start in starts for place in places), None)

    def _held(self, n: int) -> Held:
        if not (self.settings.grammar and self.engine.capabilities.grammar):
            return Held()
        return Held(self.template.grammar(n, self.settings.max_tokens, asked=n * len(self._judged)))

    def _parts(self, judgment: Judgment) -> list[Judgment]:
        """A judgment of all criteria as one for each; an invalid one stands for none of the others."""
        if judgment.scores is None:
            return [judgment]
        n = len(judgment.order)
        parts = [
            replace(judgment, block=place, scores=judgment.scores[number * n : (number + 1) * n])
            for number, place in enumerate(self._judged)
        ]
        rest = [replace(part, text="", reasoning=None, completion_tokens=None) for part in parts[1:]]
        return [parts[0], *rest]

    def _joined(self, history: History) -> Mapping[tuple[int, int, int], Judgment]:
        """What ``_parts`` took apart."""
        joined = {}
        for (index, block, attempt), first in history.items():
            if block != self._judged[0]:
                continue
            parts = [history.get((index, place, attempt)) for place in self._judged]
            scores = [part.scores for part in parts if part is not None and part.scores is not None]
            if first.scores is None:
                joined[index, block, attempt] = first
            elif len(scores) == len(self._judged):
                joined[index, block, attempt] = replace(first, scores=tuple(s for row in scores for s in row))
        return joined
