"""``spct judge``: read items, judge them, print verdicts; keep everything in a run directory if asked."""

from __future__ import annotations

import contextlib
import datetime
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import orjson

import spct
from spct.cli.judging import judging_options, settings_of
from spct.cli.meta import make_meta_if_named
from spct.cli.progress import RunProgress
from spct.cli.session import engine_options, make_engine, open_run, run_stoppable, started
from spct.errors import InputError, SpctError, TemplateError
from spct.items import read_items
from spct.judges.grm import GRMJudge
from spct.run import RunStore, judge_items
from spct.types import Item
from spct.views import run_summary, verdict_header, verdict_line


@click.command()
@click.argument("source", metavar="FILE|-")
@engine_options
@judging_options
@click.option("--skip-bad", is_flag=True, help="Leave out rows that cannot be read, and count them.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Keep every sample in this run directory.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line per item on stdout, and nothing else there.")
@click.option("--price-in", type=click.FloatRange(0), help="Price of a million prompt tokens, to show the cost.")
@click.option("--price-out", type=click.FloatRange(0), help="Price of a million completion tokens.")
def judge(source: str, **options: Any) -> int:
    """Judge the items of FILE (JSONL, JSON, Parquet; - for stdin) and print one verdict each."""
    if options["resume"] and options["out"] is None:
        raise InputError("--resume goes on with a run directory; name it with --out DIR")
    with _source_file(source) as path:
        work = _judge(_Input("stdin" if source == "-" else source, path, options["skip_bad"]), options)
        return run_stoppable(work, options["out"])


@dataclass
class _Input:
    """The rows to judge. ``check`` reads them all once before anything is sampled; ``items`` streams them."""

    name: str
    path: Path
    skip_bad: bool
    total: int = 0
    bad: int = 0

    def check(self, judge: GRMJudge) -> None:
        """Count the items; raise the first bad row's InputError unless they are to be skipped."""
        off_scale = 0
        for item in self.items(judge, self._count_bad):
            self.total += 1
            off_scale += len(item.responses) == 1 and item.rewards_N is not None and _misses_labels(judge, item)
        if off_scale:
            click.echo(
                f"note: items with a label: {off_scale}; their template does not score from 0 to 1, so what it gives is "
                "neither right nor wrong: judge them with --template grm-single",
                err=True,
            )

    def items(self, judge: GRMJudge, on_bad: Callable[[SpctError], None] | None = None) -> Iterator[Item]:
        for item in read_items(self.path, skip_bad=self.skip_bad, on_bad=on_bad, name=self.name):
            try:
                judge.check(item)
            except TemplateError as error:
                if not self.skip_bad:
                    raise
                if on_bad is not None:
                    on_bad(error)
                continue
            yield item

    def _count_bad(self, error: SpctError) -> None:
        self.bad += 1
        if self.bad <= 5:
            click.echo(f"skipped: {error}", err=True)


def _misses_labels(judge: GRMJudge, item: Item) -> bool:
    template = judge.template_of(item)
    return template.kind == "scores" and template.scale != (0, 1)


async def _judge(source: _Input, options: Mapping[str, Any]) -> int:
    engine = make_engine(options["model"], options)
    meta = make_meta_if_named(options)
    judge = GRMJudge(engine, settings_of(options), meta=meta)
    source.check(judge)
    async with started(engine), started(meta):
        with _store(judge, source, options) as store:
            if store is not None:
                judge = GRMJudge(engine, judge.settings, principles_kept=store.principles, meta=meta)
            return await _print_verdicts(judge, source, store, options)


async def _print_verdicts(judge: GRMJudge, source: _Input, store: RunStore | None, options: Mapping[str, Any]) -> int:
    in_flight = options["concurrency"] or judge.engine.capabilities.concurrency
    progress = RunProgress(source.total, price_in=options["price_in"], price_out=options["price_out"])
    with progress:
        if not options["as_json"]:
            progress.print(verdict_header())
        outcomes = judge_items(
            judge, source.items(judge), in_flight=in_flight, store=store, on_request=progress.on_request
        )
        async with contextlib.aclosing(outcomes):
            async for outcome in outcomes:
                progress.on_item(outcome)
                line = outcome.verdict.to_json() if options["as_json"] else verdict_line(outcome.verdict, outcome.item)
                progress.print(line)
    totals = progress.totals
    click.echo(run_summary(totals, judge.settings, bad_rows=source.bad), err=options["as_json"])
    notes = list(getattr(judge.engine, "notes", ()))
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if store is not None and notes:
        store.set_meta("notes", orjson.dumps(notes).decode())
    return 1 if totals.no_verdict else 0


@contextlib.contextmanager
def _store(judge: GRMJudge, source: _Input, options: Mapping[str, Any]) -> Iterator[RunStore | None]:
    out: Path | None = options["out"]
    if out is None:
        yield None
        return
    settings = {**judge.describe(), "skip_bad": source.skip_bad}
    store = open_run(out, settings, resume=options["resume"])
    try:
        session = {name: options[name] for name in ("concurrency", "timeout_s") if options[name] is not None}
        session["base_url"] = getattr(judge.engine, "base_url", None)  # the engine's, which has no login in it
        session |= {"spct": spct.__version__, "input": source.name, "items": source.total, "k": options["k"]}
        store.add_session(datetime.datetime.now(datetime.UTC).isoformat(), orjson.dumps(session).decode())
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def _source_file(source: str) -> Iterator[Path]:
    """The input as a file that can be read twice: stdin is spooled to disk."""
    if source != "-":
        yield Path(source)
        return
    with tempfile.NamedTemporaryFile(prefix="spct-stdin-") as spool:
        shutil.copyfileobj(sys.stdin.buffer, spool)
        spool.flush()
        yield Path(spool.name)
