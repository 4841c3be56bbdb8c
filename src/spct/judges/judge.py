"""The contract of a judge: an item in, a verdict out, by whatever means. ``spct.judges.grm.Judge`` is one of them.

Failure rule, the same for all: what concerns one item becomes that item's error, what concerns the run is raised, and
an answer without a score is an invalid judgment, never a made-up score. Judgments are stored, voted on, graded and
compared the same way whoever made them; scores need not be integers. To add one: a module with a class that follows
``Judge`` (``rival.Rival`` has most of it), a line in ``spct.judges.JUDGES``, a row in
``tests/judges/test_contract.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from spct.engines.engine import Capabilities
from spct.judges.sampling import Record
from spct.judges.settings import JudgeSettings
from spct.meta import MetaRM
from spct.types import Item, Judgment
from spct.voting.ratings import Ratings, RecordRatings
from spct.voting.verdict import Verdict


class Backend(Protocol):
    """What a judge asks: an engine, a classifier, both, or nothing. Whoever made the judge starts and closes it."""

    @property
    def model_id(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities:
        """``concurrency`` is how many items are worth having in flight."""
        ...

    async def start(self) -> None: ...

    async def close(self) -> None: ...


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

    def describe(self) -> dict[str, Any]:
        """Everything a verdict depends on besides the items, as flat JSON values: what a run records and resumes by."""
        ...

    def check(self, item: Item) -> None:
        """Raise TemplateError if this judge cannot judge such an item at all."""
        ...

    async def judge(
        self,
        item: Item,
        history: Sequence[Judgment] = (),
        record: Record | None = None,
        *,
        rated: Ratings | None = None,
        record_ratings: RecordRatings | None = None,
    ) -> Verdict:
        """The verdict, asking only for what ``history`` lacks; ``record`` is called with what is new."""
        ...
