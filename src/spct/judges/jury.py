"""Several judges on every item, each with its own model and settings, that vote together; or a second one that is asked
only where the first is unsure.

Each juror judges as it would alone; its judgments are kept with blocks from ``BLOCKS`` times its place on, so that they are
stored, resumed and voted on again by juror. How their scores become comparable is ``voting.jury.Comparable``; "standardised"
takes the whole run, so a run is judged by another rule first (``run.jury``). A juror that fails on an item votes by the
judgments that it made; without enough for a vote it is left out. Either way its error is kept. If all fail, the item has no
verdict. Where escalation has to end early (``Memory.may_end``), the vote is over what there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

from spct.aio import gather_all
from spct.engines.engine import Capabilities
from spct.errors import InputError, TemplateError
from spct.judges.judge import Backend, Judge, params_of
from spct.judges.memory import NO_MEMORY, Memory, Prompt
from spct.judges.settings import JudgeSettings
from spct.judges.template_choice import scale_in
from spct.judges.verdicts import no_verdict, verdict_of
from spct.meta import MetaRM
from spct.templates import Template
from spct.types import Item, ItemError, Judgment, Usage
from spct.voting.by_juror import calls_in
from spct.voting.jury import BLOCKS, Comparable, Juror, Jury
from spct.voting.noise import TEN_POINTS
from spct.voting.ratings import place_of
from spct.voting.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Member:
    """A judge of a jury, by the name that its judgments are told by."""

    name: str
    judge: Judge
    weight: Fraction = Fraction(1)


class JuryJudge:
    """``members`` vote by ``comparable``; with "escalate" the second is asked where the first's confidence is under ``below``."""

    meta: MetaRM | None = None
    noise = TEN_POINTS  # the vote works out its own

    def __init__(
        self,
        members: Sequence[Member],
        *,
        comparable: Comparable = "raw",
        below: float | None = None,
        settings: JudgeSettings | None = None,
    ) -> None:
        if comparable == "standardised":
            raise InputError(
                "standardised scores take the whole run: judge with --comparable rank, then vote again with "
                "spct vote RUN --comparable standardised"
            )
        for member in members:
            own = member.judge.settings
            if member.judge.meta is not None or own.adaptive is not None or own.rule == "expected":
                raise InputError(
                    f"the judge {member.name!r}: a jury knows no meta RM, adaptive k or rule expected; drop it"
                )
        self.members = tuple(members)
        jury = Jury(tuple(_juror(member, place) for place, member in enumerate(members)), comparable, below)
        settings = settings or JudgeSettings()
        k = max(member.judge.settings.k for member in members)
        self.settings = replace(settings, k=k, jury=jury, rule="sum", rubric=None, adaptive=None)
        self.engine = Backends([member.judge.engine for member in members])
        self._jury = jury

    @property
    def templates(self) -> Mapping[str, Template]:
        return {
            f"{member.name}/{name}": template
            for member in self.members
            for name, template in member.judge.templates.items()
        }

    def describe(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "judge": "jury",
            "model": self.engine.model_id,
            "k": settings.k,
            "seed": settings.seed,
            "rule": settings.rule,
            "tie_rule": settings.tie_rule,
            "jury": self._jury.as_row(),
            "jurors": {m.name: m.judge.describe() | params_of(m.judge.engine) for m in self.members},
        }

    def check(self, item: Item) -> None:
        for member in self.members:
            member.judge.check(item)

    async def judge(self, item: Item, memory: Memory = NO_MEMORY) -> Verdict:
        memories = [_OfJuror(memory, place) for place in range(len(self.members))]
        if self._jury.comparable == "escalate":
            first = await self.members[0].judge.judge(item, memories[0])
            verdicts = [first]
            if calls_in(first.confidence, self._jury):
                if first.best is not None:
                    memory.may_end(partial(self._so_far, item, first, memories[1]))
                verdicts.append(await self.members[1].judge.judge(item, memories[1]))
        else:
            asked = [m.judge.judge(item, own) for m, own in zip(self.members, memories, strict=True)]
            verdicts = list(await gather_all(asked))
        return self._vote(item, verdicts)

    def _vote(self, item: Item, verdicts: Sequence[Verdict]) -> Verdict:
        """The jury's verdict from those of its members in turn."""
        judgments = [
            replace(judgment, block=judgment.block + place * BLOCKS)
            for place, verdict in enumerate(verdicts)
            for judgment in verdict.judgments
        ]
        usage = sum((verdict.usage for verdict in verdicts), Usage())
        names = [member.name for member in self.members]
        errors = {name: v.error for name, v in zip(names, verdicts, strict=False) if v.error is not None}
        if all(verdict.best is None for verdict in verdicts):
            said = "; ".join(f"{name}: {error.type}: {error.message}" for name, error in errors.items())
            *_, last = errors.values()
            return no_verdict(item, self.settings, ItemError(last.type, said), judgments, usage)
        return verdict_of(item, self.settings, judgments, usage=usage, juror_errors=errors)

    def _so_far(self, item: Item, first: Verdict, second: _OfJuror) -> Verdict:
        """The verdict where the second juror has to end now, by the judgments that it has made."""
        cut_off = ItemError("DeadlineError", "the time was up before it had answered")
        made = no_verdict(
            item, self.members[1].judge.settings, cut_off, sorted(second.made, key=place_of), second.usage
        )
        return self._vote(item, [first, made])


def _juror(member: Member, place: int) -> Juror:
    judge, settings = member.judge, member.judge.settings
    scale = (0.0, 1.0) if settings.rubric is not None else scale_in(judge.templates, settings.template)
    return Juror(member.name, place, settings.k, member.weight, scale, settings.rubric)


class _OfJuror(Memory):
    """An item's memory as one juror knows it: its own judgments, with its own blocks. ``made`` are all there are by now."""

    def __init__(self, memory: Memory, place: int) -> None:
        self._memory = memory
        self._first = first = place * BLOCKS
        self.history = [
            replace(judgment, block=judgment.block - first)
            for judgment in memory.history
            if first <= judgment.block < first + BLOCKS
        ]
        self.made = list(self.history)
        self.usage = Usage()

    def record(self, judgments: Sequence[Judgment], usage: Usage, prompt: Prompt = ()) -> None:
        told = [replace(judgment, block=judgment.block + self._first) for judgment in judgments]
        if any(judgment.block >= BLOCKS for judgment in judgments):
            raise TemplateError(f"a juror judged an item in {BLOCKS} blocks or more; raise --block-size")
        self.made += judgments
        self.usage += usage
        self._memory.record(told, usage, prompt)


class Backends:
    """What the jurors ask, started and closed together; one that several share is started once."""

    def __init__(self, engines: Sequence[Backend]) -> None:
        self.engines = tuple(engines)
        """The engine of each juror in turn."""
        self._engines = list({id(engine): engine for engine in engines}.values())
        self.model_id = " + ".join(dict.fromkeys(engine.model_id for engine in engines))

    @property
    def capabilities(self) -> Capabilities:
        """As many items in flight as suit the slowest to fill; seeds count if they do for all."""
        all_of = [engine.capabilities for engine in self._engines]
        alone = [can.seed_alone for can in all_of]
        return Capabilities(
            seeding=next((can.seeding for can in all_of if can.seeding != "sample"), "sample"),
            seed_alone=False if False in alone else None if None in alone else True,
            concurrency=max(can.concurrency for can in all_of),
        )

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(note for engine in self._engines for note in engine.notes)

    @property
    def configuration(self) -> Mapping[str, Any]:
        return {
            f"{engine.model_id}.{name}": value
            for engine in self._engines
            for name, value in engine.configuration.items()
        }

    async def start(self) -> None:
        for engine in self._engines:
            await engine.start()

    async def close(self) -> None:
        for engine in self._engines:
            await engine.close()
