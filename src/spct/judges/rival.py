"""What the rivals share: a trial of one item, and the way from its judgments to a verdict.

A rival's judgment is a row over all n responses, complete or invalid: whatever it is made of (comparisons, critiques,
lone scores) is asked for inside the judgment, so that stored rows are voted on and graded like any other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from spct.errors import InputError, RequestError, TemplateError
from spct.items import fingerprint
from spct.items.budget import within_budget
from spct.items.copies import copies_of
from spct.judges.judge import Backend
from spct.judges.memory import NO_MEMORY, Memory, MemoryOfTexts, Prompt
from spct.judges.settings import JudgeSettings
from spct.judges.template_choice import check_images
from spct.judges.verdicts import no_verdict, verdict_of
from spct.meta import MetaRM
from spct.templates import Template
from spct.types import Item, ItemError, Judgment, Problem, Usage
from spct.voting.noise import TEN_POINTS
from spct.voting.verdict import Verdict


class Trial:
    """An item being judged: what a resumed run already has of it, what is new, and what that has cost."""

    def __init__(self, item: Item, k: int, memory: Memory) -> None:
        self.item = item
        self.n = len(item.responses)
        self.key = fingerprint(item)
        self.stored = {judgment.index: judgment for judgment in memory.history if judgment.index < k}
        self.usage = Usage()
        self._memory = memory

    def missing(self, k: int) -> list[int]:
        """Indices of the judgments that are still to be made."""
        return [index for index in range(k) if index not in self.stored]

    def spend(self, judgments: Sequence[Judgment], usage: Usage, prompt: Prompt) -> None:
        """Note a request, what it asked and cost; what came of it is only a part of a judgment."""
        self.record([], usage, prompt)

    def record(self, judgments: Sequence[Judgment], usage: Usage = Usage(), prompt: Prompt = ()) -> None:  # noqa: B008
        """Keep new judgments, in the store too."""
        self.usage += usage
        self.stored.update({judgment.index: judgment for judgment in judgments})
        self._memory.record(judgments, usage, prompt)

    def judgments(self) -> list[Judgment]:
        return [self.stored[index] for index in sorted(self.stored)]


class Rival(ABC):
    """A judge that is not a ``GRMJudge``: subclasses make the judgments, this votes over them."""

    kind: ClassVar[str]
    least: ClassVar[int] = 1
    """Fewest responses that it can judge."""
    meta: MetaRM | None = None
    noise = TEN_POINTS
    templates: Mapping[str, Template] = {}

    def __init__(self, engine: Backend, settings: JudgeSettings) -> None:
        refuse(self.kind, settings)
        self.engine = engine
        self.settings = settings

    def keep(self, template: Template) -> None:
        """Have runs keep the text of ``template``; not under its bare name, since scores by this judge are not on its scale."""
        self.templates = {**self.templates, f"{self.kind}/{template.name}": template}

    @abstractmethod
    async def make(self, trial: Trial) -> None:
        """Record the judgments that ``trial.missing`` names. Raises one of the EngineError family."""

    def options(self) -> dict[str, Any]:
        """What else the judgments depend on, as flat JSON values."""
        return {}

    def describe(self) -> dict[str, Any]:
        settings = self.settings
        shared = {"k": settings.k, "seed": settings.seed, "rule": settings.rule, "tie_rule": settings.tie_rule}
        budget = {} if settings.trajectory_chars is None else {"trajectory_chars": settings.trajectory_chars}
        return {"judge": self.kind, "model": self.engine.model_id, **shared, **budget, **self.options()}

    def check(self, item: Item) -> None:
        check_images(item, f"the judge {self.kind}", taken=False)
        if len(item.responses) < self.least:
            raise TemplateError(
                f"item {item.id!r} has {len(item.responses)} response; {self.kind} needs at least {self.least}"
            )

    async def judge(self, item: Item, memory: Memory = NO_MEMORY) -> Verdict:
        self.check(item)
        copies = copies_of(item.responses)
        shown = within_budget(copies.once(item), self.settings.trajectory_chars)
        trial = Trial(shown, self.settings.k, MemoryOfTexts(memory, copies))
        error: ItemError | None = None
        try:
            if missing := trial.missing(self.settings.k):
                if trial.n < self.least:  # one text however often: there is nothing to compare, and no point to win
                    trial.record([row(trial, index, [0.0] * trial.n) for index in missing])
                else:
                    await self.make(trial)
        except RequestError as failure:
            error = ItemError(type(failure).__name__, str(failure))
        judgments = [copies.spread(judgment) for judgment in trial.judgments()]
        if error is not None:
            return no_verdict(item, self.settings, error, judgments, trial.usage)
        return verdict_of(item, self.settings, judgments, usage=trial.usage, noise=self.noise)


def row(
    trial: Trial,
    index: int,
    scores_N: Sequence[float] | None,  # noqa: N803
    *,
    problem: Problem | None = None,
    text: str = "",
    seed: int = 0,
    order: Sequence[int] | None = None,
    completion_tokens: int | None = None,
) -> Judgment:
    """The judgment of all n responses: its scores in item order, or the problem."""
    return Judgment(
        index=index,
        order=tuple(range(trial.n) if order is None else order),
        seed=seed,
        text=text,
        finish_reason="stop",
        scores=None if problem is not None or scores_N is None else tuple(scores_N),
        problem=problem,
        completion_tokens=completion_tokens,
    )


def refuse(kind: str, settings: JudgeSettings) -> None:
    """Raise InputError for settings that would have no effect: a recorded protocol must not claim them."""
    asked = {
        "adaptive": settings.adaptive is not None,
        "k_meta": settings.k_meta is not None,
        "block_size": settings.block_size is not None,
        f"principles {settings.principles}": settings.principles != "self",
        "rule expected": settings.rule == "expected",
        "rubric": settings.rubric is not None and kind != "rubric",
    }
    if named := [name for name, is_set in asked.items() if is_set]:
        raise InputError(f"the judge {kind} knows no {', '.join(named)}; drop it, or use the judge grm")
