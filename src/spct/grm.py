"""The public face: a generative reward model that judges from Python, asynchronously or not.

    with GRM("openai:gpt-4o-mini", k=8) as grm:
        verdict = grm.judge("Name a prime above 10.", ["11", "12"])

A GRM belongs to one event loop. The plain methods run on a loop of their own in a background thread, so they work in
scripts and in notebooks alike; the ``a...`` methods run on the caller's loop. Use one kind or the other per object.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from spct.aio import OwnLoop
from spct.engines import Engine, load_engine
from spct.errors import InputError
from spct.items import parse_item
from spct.items.ids import Ids
from spct.judges import judge_of
from spct.judges.settings import judge_settings
from spct.meta import MetaRM, load_meta
from spct.run import judge_items, opened_run
from spct.types import Item
from spct.voting.verdict import Verdict

ItemRow = Item | Mapping[str, Any]
Query = str | Sequence[Mapping[str, Any]]


class GRM(OwnLoop):
    """A generative reward model: an engine, and how it is asked and its judgments are voted.

    ``engine`` is an Engine or what ``load_engine`` takes; the keyword arguments are the fields of ``JudgeSettings`` and
    ``SamplingSettings`` (k, temperature, seed, template, principles, rubric, ...). ``meta`` is a meta RM or what
    ``load_meta`` takes: the vote is then over the k_meta judgments that it rates best. ``in_flight`` items are judged
    side by side by ``judge_many``. Raises InputError or TemplateError for settings that cannot be.
    """

    def __init__(
        self, engine: Engine | str, *, meta: MetaRM | str | None = None, in_flight: int | None = None, **settings: Any
    ) -> None:
        super().__init__()
        self.engine = load_engine(engine) if isinstance(engine, str) else engine
        self.settings = judge_settings(**settings)
        self._in_flight = in_flight
        self.meta = load_meta(meta) if isinstance(meta, str) else meta
        self._judge = judge_of(self.engine, self.settings, self.meta)

    def __repr__(self) -> str:
        return f"GRM({self.engine.model_id!r}, k={self.settings.k}, template={self.settings.template!r})"

    async def ajudge(self, query: Query | ItemRow, responses: Sequence[str] | None = None, **given: Any) -> Verdict:
        """Judge one query: ``ajudge(query, responses)``, or ``ajudge(item)`` with an Item or a row of ``read_items``.

        ``query`` is a text or a list of ``{"role", "content"}`` turns; ``given`` may hold id, reference, principles, best,
        rewards or label. An item that fails alone comes back with ``verdict.error`` set and no ranking; InputError,
        TemplateError and EngineError are raised.
        """
        item = _item(query, responses, given)
        await self._start()
        return await self._judge.judge(item)

    async def ajudge_many(
        self, rows: Iterable[ItemRow], *, out: Path | str | None = None, resume: bool = False
    ) -> AsyncGenerator[Verdict, None]:
        """Judge rows side by side and yield their verdicts in input order; memory does not grow with the rows.

        With ``out``, every sample is kept in a run directory there, as by ``spct judge --out``, and each verdict comes when
        it is safely stored; with ``resume`` a run that is there already is gone on with. Raises RunError where it cannot
        be written, ResumeRefusedError where it was made with other settings or rows.
        """
        await self._start()
        in_flight = self._in_flight or self.engine.capabilities.concurrency
        items = _numbered(rows)
        kept = contextlib.nullcontext() if out is None else opened_run(Path(out), self._judge, resume=resume)
        with kept as store:
            outcomes = judge_items(self._judge, items, in_flight=in_flight, store=store)
            async with contextlib.aclosing(outcomes):
                async for outcome in outcomes:
                    yield outcome.verdict

    async def aclose(self) -> None:
        """Free the engine; the object cannot be used afterwards."""
        await self.engine.close()
        if self.meta is not None:
            await self.meta.close()

    def judge(self, query: Query | ItemRow, responses: Sequence[str] | None = None, **given: Any) -> Verdict:
        """Like ``ajudge``, from plain code."""
        return self.run(self.ajudge(query, responses, **given))

    def judge_many(
        self, rows: Iterable[ItemRow], *, out: Path | str | None = None, resume: bool = False
    ) -> Generator[Verdict, None, None]:
        """Like ``ajudge_many``, from plain code."""
        return self.iterate(self.ajudge_many(rows, out=out, resume=resume))

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def _start(self) -> None:
        await self.engine.start()
        if self.meta is not None:
            await self.meta.start()


def _numbered(rows: Iterable[ItemRow]) -> Iterator[Item]:
    """The items of rows; those named by their content are numbered where it repeats."""
    ids = Ids()
    for row in rows:
        item = _item(row, None, {})
        named = isinstance(row, Item) or row.get("id") is not None
        yield item if named else ids.add(item, "this row", given=False)


def _item(query: Query | ItemRow, responses: Sequence[str] | None, given: Mapping[str, Any]) -> Item:
    if isinstance(query, Item):
        return query
    if isinstance(query, Mapping):
        return parse_item(query, where="this row")
    if responses is None:
        raise InputError("no responses: call judge(query, responses), or judge(row) with an Item or a dict")
    if isinstance(responses, str):
        raise InputError("responses is one string; expected a list with one string per response")
    key = "prompt" if isinstance(query, str) else "messages"
    return parse_item({key: query, "responses": list(responses), **given}, where="these arguments")
