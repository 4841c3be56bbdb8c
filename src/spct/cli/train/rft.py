"""``spct train rft-data``: sample judgments of training items, keep those worth learning from."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import orjson

from spct.cli.batch import BatchItems, batch_options, check_batch, judge_batch
from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.progress import write_line
from spct.cli.running import begun_run, judge_all
from spct.cli.session import engine_options, make_engine
from spct.cli.stopping import run_stoppable
from spct.engines import Engine
from spct.errors import InputError, SpctError, TemplateError
from spct.items import read_items
from spct.judges import Judge
from spct.judges.settings import judge_settings
from spct.run import RunStore
from spct.run.opening import file_facts
from spct.train.common.directory import finish_sampling
from spct.train.common.mixed import MixedJudge
from spct.train.rft.run import (
    HINTED,
    PLAIN,
    REPORT,
    TABLE,
    TRAJECTORIES,
    Sampling,
    check_trainable,
    report_lines,
    write_trajectories,
)
from spct.types import Item
from spct.wording import count

SAMPLING = ("temperature", "top_p", "max_tokens", "seed", "template", "ordering", "grammar")


@click.command(cls=Command, name="rft-data")
@click.argument("items", type=PATH)
@engine_options
@click.option("--out", type=PATH, metavar="DIR", required=True, help="Write runs and results here.")
@click.option(
    "--n-rft",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Sample so many judgments of each item without a hint.",
)
@click.option("--hinted/--no-hinted", default=True, show_default=True, help="Also sample one with the answer told.")
@click.option("--temperature", default=0.5, show_default=True, help="Sample at this temperature; 0 is greedy.")
@click.option(
    "--top-p", default=1.0, show_default=True, help="Sample from the likeliest tokens that make up this share."
)
@click.option("--max-tokens", default=1024, show_default=True, help="Longest judgment.")
@click.option("--seed", default=0, show_default=True, help="Draw orders and samples by this seed.")
@click.option(
    "--template",
    default="grm",
    show_default=True,
    metavar="NAME|PATH",
    help="Ask by this prompt about two responses or more.",
)
@click.option(
    "--single-template",
    default="grm-single",
    show_default=True,
    metavar="NAME|PATH",
    help="Ask by this prompt about one response.",
)
@click.option("--ordering", type=click.Choice(["balanced", "random", "fixed"]), default="balanced", show_default=True,
              help="Show the responses in balanced orders, in random ones, or in their own.")  # fmt: skip
@click.option(
    "--grammar/--no-grammar",
    default=True,
    show_default=True,
    help="Hold judgments to the answer's form where the engine can.",
)
@click.option("--rejection/--no-rejection", default=True, show_default=True,
              help="Without: the ablation that drops invalid and partial judgments only.")  # fmt: skip
@batch_options
@click.option("--skip-bad", is_flag=True, help="Leave out rows that cannot be read or trained on, and count them.")
@click.option("--resume", is_flag=True, help="Go on with what is in --out.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on stdout, and nothing else there.")
def rft_data(items: Path, **options: Any) -> int:
    """Sample judgments of ITEMS (a split of spct data build, or any file of items with ground truth), reject, keep.

    Of the --n-rft judgments of an item those that are not correct are dropped, and all of them if all are correct; the hinted
    one is dropped only if it is not correct. Writes trajectories.jsonl, report.json, report.md and manifest.json.

    \b
    Example:
      spct train rft-data data/rft.jsonl --model openai:NAME --out rft
    """
    return run_stoppable(_rft_data(items, options), options["out"])


async def _rft_data(path: Path, options: Mapping[str, Any]) -> int:
    if options["ray"] is not None:
        check_batch(options, options["out"])
    engine = make_engine(options["model"], options)
    sampling = _sampling(options)
    judge = sampling.judge(engine)
    source = _Source(path, judge, sampling.hinted, options["skip_bad"])
    total = sum(1 for _ in source.items(say=True))
    out: Path = options["out"]
    settings, session = {"skip_bad": options["skip_bad"]}, {**file_facts(path), "items": total}
    names = (PLAIN, HINTED) if sampling.hinted else (PLAIN,)
    special: Sequence[str] = ()
    async with contextlib.AsyncExitStack() as stack:  # the engine is one for both runs, and closed after them
        for name in names:
            if options["ray"] is not None:
                given = BatchItems(session | settings, source.items)
                make = partial(_judge_of, name=name)
                special = (
                    await judge_batch(make, given, out / name, options, settings=settings, session=session)
                ).special_tokens
                continue
            sampler = _judge_of(options, name, engine)
            store = await stack.enter_async_context(
                begun_run(sampler, out / name, options, settings=settings, session=session)
            )
            await judge_all(sampler, source.items(), total, store, options)
            special = engine.capabilities.special_tokens
    with contextlib.ExitStack() as reading:
        runs = [reading.enter_context(contextlib.closing(RunStore.open(out / name))) for name in names]
        plain, hinted = runs[0], runs[1] if sampling.hinted else None
        report = write_trajectories(
            source.items(), judge, plain, hinted, out, special_tokens=special, rejection=sampling.rejection
        )
        described = orjson.loads(plain.meta("settings") or "{}")
    kept = {**described, "hinted": sampling.hinted, "rejection": sampling.rejection}
    finish_sampling(out, "rft-data", kept, [path], (TRAJECTORIES, REPORT, TABLE))
    for line in [orjson.dumps(report).decode()] if options["as_json"] else report_lines(report):
        write_line(sys.stdout, line)
    click.echo(f"{out / TRAJECTORIES} has the trajectories, {out / TABLE} this table", err=True)
    return 1 if any(row["failed_items"] for row in report["sources"].values()) else 0


def _sampling(options: Mapping[str, Any]) -> Sampling:
    settings = judge_settings(k=options["n_rft"], retries=0, **{name: options[name] for name in SAMPLING})
    return Sampling(settings, options["single_template"], options["hinted"], options["rejection"])


def _judge_of(options: Mapping[str, Any], name: str, engine: Engine | None = None) -> Judge:
    """The judge of the run ``name``; on a cluster it is made in every actor, with an engine of its own."""
    sampling, engine = _sampling(options), engine or make_engine(options["model"], options)
    if name == PLAIN:
        return sampling.judge(engine)
    return sampling.hinted_judge(engine, replace(sampling.settings, k=1))


@dataclass(frozen=True, slots=True)
class _Source:
    """The items, streamed anew each time. Whatever cannot be trained on is an error, or left out and counted."""

    path: Path
    judge: MixedJudge
    hinted: bool
    skip_bad: bool

    def items(self, *, say: bool = False) -> Iterator[Item]:
        bad: list[SpctError] = []
        for item in read_items(self.path, skip_bad=self.skip_bad, on_bad=bad.append):
            try:
                check_trainable(item, self.judge, hinted=self.hinted)
            except (InputError, TemplateError) as error:
                if not self.skip_bad:
                    raise
                bad.append(error)
                continue
            yield item
        if say and bad:
            click.echo(f"{count(len(bad), 'row')} left out; the first: {bad[0]}", err=True)
