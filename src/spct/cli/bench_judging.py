"""The judging half of ``spct bench``: one judge, a benchmark's items, one run directory."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import orjson

import spct
from spct.bench.suites import Benchmark, Loaded
from spct.cli.judging import make_judge
from spct.cli.meta import make_meta_if_named
from spct.cli.progress import RunProgress
from spct.cli.session import open_run, started
from spct.judges import Judge
from spct.run import RunStore, judge_items
from spct.views import run_summary

SAVE_SECONDS_S = 1.0


async def judge_into(benchmark: Benchmark, loaded: Loaded, options: Mapping[str, Any], out: Path) -> int:
    """Judge the items into ``out``; 1 if some got no verdict."""
    meta = make_meta_if_named(options)
    judge = make_judge(options, meta)
    counted = {name for unit in loaded.units for name in unit.items}
    for name, item in loaded.items.items():
        if name in counted or not counted:  # of the others no figure hangs on the verdict, and some may get none
            judge.check(item)
    async with started(judge.engine), started(meta):
        with _store(judge, benchmark, loaded, options, out) as store:
            judge = make_judge(options, meta, judge.engine, store.principles)
            return await _judged(judge, loaded, store, options)


async def _judged(judge: Judge, loaded: Loaded, store: RunStore, options: Mapping[str, Any]) -> int:
    in_flight = options["concurrency"] or judge.engine.capabilities.concurrency
    progress = RunProgress(len(loaded.items), price_in=options["price_in"], price_out=options["price_out"])
    clock = _Clock(store)
    with progress:
        outcomes = judge_items(
            judge, loaded.items.values(), in_flight=in_flight, store=store, on_request=progress.on_request
        )
        async with contextlib.aclosing(outcomes):
            async for outcome in outcomes:
                progress.on_item(outcome)
                clock.tick()
        clock.tick(last=True)
    click.echo(run_summary(progress.totals, judge.settings), err=True)
    for note in getattr(judge.engine, "notes", ()):
        click.echo(f"note: {note}", err=True)
    return 1 if progress.totals.no_verdict else 0


class _Clock:
    """Keeps in the store how long judging has taken, over all sessions; a killed one loses about a second."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._before = float(store.meta("seconds") or 0)
        self._started = self._saved = time.monotonic()

    def tick(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if last or now - self._saved >= SAVE_SECONDS_S:
            self._saved = now
            self._store.set_meta("seconds", f"{self._before + now - self._started:.3f}")


@contextlib.contextmanager
def _store(
    judge: Judge, benchmark: Benchmark, loaded: Loaded, options: Mapping[str, Any], out: Path
) -> Iterator[RunStore]:
    settings = {
        **judge.describe(),
        "benchmark": benchmark.name,
        "data": loaded.data_hash,
        "subset": list(options["subset"]),
        "limit": options["limit"],
    }
    store = open_run(out, settings, resume=options["resume"])
    try:
        session = {
            "spct": spct.__version__,
            "input": str(options["data"]),
            "items": len(loaded.items),
            "k": options["k"],
        }
        store.add_session(datetime.datetime.now(datetime.UTC).isoformat(), orjson.dumps(session).decode())
        yield store
    finally:
        store.close()
