"""The public face: a generative reward model that judges from Python, asynchronously or not.

    with GRM("openai:my-judge", base_url="http://127.0.0.1:8000/v1", k=8) as grm:
        verdict = grm.judge("Name a prime above 10.", ["11", "12"])
        print(verdict.best, verdict.judgments[0].critique)

A GRM belongs to one event loop. The plain methods run on a loop of their own in a background thread, so they work in
scripts and in notebooks alike; the ``a...`` methods run on the caller's loop. Use one kind or the other per object.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

from spct.aio import OwnLoop
from spct.engines import Engine, engine_options, load_engine
from spct.engines.cached import CachedEngine
from spct.errors import InputError
from spct.items import parse_item
from spct.items.conversation import listed
from spct.items.ids import Ids
from spct.items.item import has_id
from spct.items.values import plain
from spct.judges import judge_of
from spct.judges.settings import SETTING_NAMES, Asked, Principles, judge_settings
from spct.meta import MetaRM, load_meta
from spct.rubrics.rubric import Rubric
from spct.run import judge_items, opened_run
from spct.types import Item, Message
from spct.voting.orders import Ordering
from spct.voting.verdict import Rule, TieRule, Verdict

ItemRow = Item | Mapping[str, Any]
Turns = Sequence[Mapping[str, Any] | Message]
Query = str | Turns
Responses = Sequence[str | Mapping[str, Any] | Turns]

SETTINGS = SETTING_NAMES - {"jury"}
"""What a GRM may be set to; a jury is a judge of another kind."""
_SETTINGS = f"; the settings of a GRM are {', '.join(sorted(SETTINGS))}, meta, in_flight and cache"
"""How a message that refuses an option goes on."""


class Given(TypedDict, total=False):
    """What else may be known of a query and its responses: keys of a row, as docs/items.md has them."""

    id: str | int
    tools: Sequence[Any]
    reference: str
    principles: str | Sequence[Any]
    best: int
    rewards: Sequence[float]
    label: int | bool | str
    grade: float
    grade_scale: Sequence[float]
    ranking: Sequence[int | Sequence[int]]
    labels: Sequence[Any]


class GRM(OwnLoop):
    """A generative reward model: an engine, and how it is asked and its judgments are voted.

    ``engine`` is an Engine, or the spec of one with its own options beside it (``base_url`` of "openai:...", ...; see
    ``load_engine``). The settings are those of ``JudgeSettings`` and ``SamplingSettings``. ``meta`` is a meta RM or what
    ``load_meta`` takes: the vote is then over the k_meta judgments that it rates best. ``in_flight`` items are judged
    side by side by ``judge_many``. ``cache`` is a folder that samples are kept in over runs, so that none is paid twice. Raises
    InputError or TemplateError for what cannot be, an option that nobody takes among it.
    """

    def __init__(
        self,
        engine: Engine | str,
        *,
        k: int = 8,
        temperature: float = 0.5,
        top_p: float = 1.0,
        max_tokens: int = 1024,
        seed: int = 0,
        template: str = "grm",
        principles: Principles = "self",
        retries: int = 2,
        ordering: Ordering = "balanced",
        block_size: int | None = None,
        adaptive: float | None = None,
        adaptive_round: int = 1,
        rule: Rule = "sum",
        tie_rule: TieRule = "random",
        rubric: Rubric | None = None,
        criteria: Asked = "separate",
        grammar: bool = True,
        top_logprobs: int | None = None,
        trajectory_chars: int | None = None,
        meta: MetaRM | str | None = None,
        k_meta: int | None = None,
        in_flight: int | None = None,
        cache: Path | str | None = None,
        **engine_options: Any,
    ) -> None:
        super().__init__()
        self.settings = judge_settings(
            k=k,
            temperature=temperature,
            top_p=top_p,
            max_tokens=max_tokens,
            seed=seed,
            template=template,
            principles=principles,
            retries=retries,
            ordering=ordering,
            block_size=block_size,
            adaptive=adaptive,
            adaptive_round=adaptive_round,
            rule=rule,
            tie_rule=tie_rule,
            rubric=rubric,
            criteria=criteria,
            grammar=grammar,
            top_logprobs=top_logprobs,
            trajectory_chars=trajectory_chars,
            k_meta=k_meta,
        )
        if in_flight is not None and (type(in_flight) is not int or in_flight < 1):
            raise InputError(f"in_flight is {in_flight!r}; expected a whole number, 1 or more")
        self._in_flight = in_flight
        self._named = (engine, meta, engine_options if cache is None else {**engine_options, "cache": cache})
        self._open()

    def _open(self) -> None:
        """Make the judge, its engine and its meta RM where they were named."""
        engine, meta, options = self._named
        self.engine = _engine(engine, options)
        self.meta = load_meta(meta) if isinstance(meta, str) else meta
        self._judge = judge_of(self.engine, self.settings, self.meta)
        self._used_by: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        self._check_named("be copied")
        made_anew = ("engine", "meta", "_judge", "_used_by")
        return {name: value for name, value in vars(self).items() if name not in made_anew}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open()

    def renew(self) -> None:
        """Make everything anew in a process that was forked off from one that used this. Raises InputError."""
        if self._used_by not in (None, os.getpid()):
            self._check_named("be used on both sides of a fork")
            self._open()
        self._used_by = os.getpid()

    def _check_named(self, what: str) -> None:
        engine, meta, _ = self._named
        if not (isinstance(engine, str) and isinstance(meta, (str, type(None)))):
            raise InputError(
                f"a GRM over an object cannot {what}: give it the engine (and the meta RM) by its spec, such as "
                '"openai:NAME", or use the address of a service'
            )

    def __repr__(self) -> str:
        return f"GRM({self.engine.model_id!r}, k={self.settings.k}, template={self.settings.template!r})"

    async def ajudge(
        self, query: Query | ItemRow, responses: Responses | None = None, **given: Unpack[Given]
    ) -> Verdict:
        """Judge one query: ``ajudge(query, responses)``, or ``ajudge(item)`` with an Item or a row of ``read_items``.

        ``query`` is a text or a list of ``{"role", "content"}`` turns; a response is a text or, with its tool calls, the
        list of its turns; ``given`` are keys of a row: id, tools, reference, principles, best, rewards, ... An item that fails
        alone comes back with ``verdict.error`` set and no ranking; InputError, TemplateError and EngineError are raised.
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

    def judge(self, query: Query | ItemRow, responses: Responses | None = None, **given: Unpack[Given]) -> Verdict:
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
        self.renew()
        await self.engine.start()
        if self.meta is not None:
            await self.meta.start()


def _engine(engine: Engine | str, options: Mapping[str, Any]) -> Engine:
    """The engine itself, or the one that a spec and options name. Raises InputError."""
    if not isinstance(engine, str):
        if others := sorted(options.keys() - {"cache"}):
            raise InputError(f"a GRM over an object takes no {', '.join(others)}{_SETTINGS}")
        return CachedEngine(engine, options["cache"]) if options else engine
    try:
        return load_engine(engine, **options)
    except InputError as error:
        if options.keys() <= engine_options(engine):
            raise
        raise InputError(f"{error}{_SETTINGS}") from error  # it may be a setting that was misspelt


def _numbered(rows: Iterable[ItemRow]) -> Iterator[Item]:
    """The items of rows; those named by their content are numbered where it repeats."""
    if hasattr(rows, "columns"):
        raise InputError('got a table; expected rows: for pandas, table.to_dict("records")')
    ids = Ids()
    for row in rows:
        item = _item(row, None, {})
        named = isinstance(row, Item) or has_id(row)
        yield item if named else ids.add(item, "this row", given=False)


def _item(query: Query | ItemRow, responses: Responses | None, given: Mapping[str, Any]) -> Item:
    if unknown := sorted(given.keys() - Given.__annotations__.keys()):
        hint = "; k, temperature, ... are settings of the GRM" if SETTINGS.intersection(unknown) else ""
        raise InputError(f"judge takes no {', '.join(unknown)}; it takes {', '.join(Given.__annotations__)}{hint}")
    query = query if isinstance(query, (str, Item)) else _row_of(query)
    turn = isinstance(query, Mapping) and "role" in query and not {"responses", "chosen"} & query.keys()
    if isinstance(query, Item) or (isinstance(query, Mapping) and not turn):
        beside = [*(["responses"] if responses is not None else []), *given]
        if beside:
            raise InputError(f"{', '.join(beside)} given beside a row or an item, which has its own: put it in there")
        return query if isinstance(query, Item) else parse_item(query, where="this row")
    if responses is None:
        raise InputError("no responses: call judge(query, responses), or judge(row) with an Item or a dict")
    asked = [query] if turn else query
    key = "prompt" if isinstance(query, str) else "messages"
    return parse_item({key: asked, "responses": listed(responses, "responses"), **given}, where="these arguments")


def _row_of(value: Any) -> Any:
    """A row that another library made (a row of pandas), or a value in JSON's kinds."""
    return plain(value.to_dict() if hasattr(value, "to_dict") else value)
