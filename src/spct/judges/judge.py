"""The contract of a judge: an item in, a verdict out, by whatever means. ``spct.judges.grm.GRMJudge`` is one of them.

Failure rule, the same for all: what concerns one item becomes that item's error, what concerns the run is raised, and
an answer without a score is an invalid judgment, never a made-up score. Judgments are stored, voted on, graded and
compared the same way whoever made them; scores need not be integers. To add one: a module with a class that follows
``Judge`` (``rival.Rival`` has most of it), a line in ``spct.judges.JUDGES``, a row in
``tests/judges/test_contract.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from spct.engines.engine import Capabilities
from spct.judges.memory import NO_MEMORY, Memory
from spct.judges.settings import JudgeSettings
from spct.meta import MetaRM
from spct.templates import Template
from spct.types import Item
from spct.voting.verdict import Verdict


class Backend(Protocol):
    """What a judge asks: an engine, a classifier, both, or nothing. Whoever made the judge starts and closes it."""

    @property
    def model_id(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities:
        """``concurrency`` is how many items are worth having in flight."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Sentences that whoever reads the results should know; may grow while it is asked."""
        ...

    @property
    def configuration(self) -> Mapping[str, Any]:
        """What is in effect, as flat JSON values, known once started: versions, the server's address without a login."""
        ...

    async def start(self) -> None: ...

    async def close(self) -> None: ...


def params_of(engine: Backend) -> dict[str, Any]:
    """The fields of the request that a user set or left out, as a judge's description has them; empty without any."""
    params = engine.configuration.get("params")
    return {"params": params} if params else {}


class Judge(Protocol):
    """Judges items. Safe for many items of one event loop at once.

    ``settings.k`` is the number of judgments that it makes of an item, which may be fewer than were asked for: a judge
    that would only repeat itself makes one. ``meta`` is a meta RM that rates its judgments, None for most.
    """

    @property
    def engine(self) -> Backend: ...

    @property
    def settings(self) -> JudgeSettings: ...

    @property
    def meta(self) -> MetaRM | None: ...

    @property
    def noise(self) -> float:
        """How much its margins vary as far as its scale tells (``voting.noise.scale_noise``), in squared points."""
        ...

    @property
    def templates(self) -> Mapping[str, Template]:
        """Every template that an item may be judged by, by its name or path in the settings; a run keeps their texts."""
        ...

    def describe(self) -> dict[str, Any]:
        """Everything a verdict depends on besides the items, as flat JSON values: what a run records and resumes by."""
        ...

    def check(self, item: Item) -> None:
        """Raise TemplateError if this judge cannot judge such an item at all."""
        ...

    async def judge(self, item: Item, memory: Memory = NO_MEMORY) -> Verdict:
        """The verdict, asking only for what ``memory`` lacks; it is told what is new."""
        ...
