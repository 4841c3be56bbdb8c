"""``spct judge``: read items, judge them, print verdicts; keep everything in a run directory if asked."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spct.cli.batch import BatchItems, batch_options, check_batch, judge_batch
from spct.cli.budget import budget_options, part_of, part_options, part_size
from spct.cli.estimate import estimate, print_estimate
from spct.cli.help import Command
from spct.cli.judging import judge_of_options, judging_options
from spct.cli.paths import PATH
from spct.cli.reading import make_reading, reading_options
from spct.cli.running import begun_run, judge_all
from spct.cli.session import engine_options
from spct.cli.stopping import run_stoppable
from spct.errors import InputError, SpctError, TemplateError
from spct.harmless import line
from spct.items import Reading, read_items
from spct.judges import Judge
from spct.judges.template_choice import scale_in
from spct.measures import why_ungraded
from spct.measures.case import Scale
from spct.measures.text import ungraded_text
from spct.run import Outcome
from spct.run.opening import file_facts
from spct.types import Item
from spct.views import run_summary, verdict_header, verdict_line

if TYPE_CHECKING:
    from spct.cluster.files import InputFile


@click.command(cls=Command)
@click.argument("source", metavar="FILE|-")
@engine_options
@judging_options
@reading_options
@part_options
@budget_options
@batch_options
@click.option("--skip-bad", is_flag=True, help="Leave out rows that cannot be read, and count them.")
@click.option("--out", type=PATH, metavar="DIR", help="Keep every sample in this run directory.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out where it stopped.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON line per item on stdout, and nothing else there.")
@click.option(
    "--estimate",
    "estimated",
    is_flag=True,
    help="Judge nothing; render all prompts and say how many tokens, and what cost, they come to.",
)
@click.option(
    "--pilot",
    type=click.IntRange(1),
    help="With --estimate: judge so many items, to measure what is assumed otherwise.",
)
def judge(source: str, **options: Any) -> int:
    """Judge the items of FILE and print one verdict each.

    FILE holds JSONL, JSON, CSV, TSV, XLSX, ODS, Parquet or Arrow, compressed or not; - is stdin.

    \b
    Examples:
      spct judge items.jsonl --model embedded:smollm2-135m --out run
      spct judge answers.xlsx --model openai:NAME -k 4 --estimate --pilot 5
    """
    if options["resume"] and options["out"] is None:
        raise InputError("--resume goes on with a run directory; name it with --out DIR")
    if options["pilot"] is not None and not options["estimated"]:
        raise InputError("--pilot measures for --estimate; add that, or judge a part by --sample")
    if options["ray"] is not None:
        check_batch(options, options["out"])
        return run_stoppable(_judge_by_ray(source, options), options["out"])
    with _source_file(source) as path:
        work = _judge(
            _Input("stdin" if source == "-" else source, path, options["skip_bad"], make_reading(options), options),
            options,
        )
        return run_stoppable(work, options["out"])


@dataclass
class _Input:
    """The rows to judge. ``check`` reads them all once before anything is sampled; ``items`` streams them.

    ``files`` are they where they are judged on many machines; otherwise there is one, ``path``.
    """

    name: str
    path: Path
    skip_bad: bool
    reading: Reading
    options: Mapping[str, Any]
    files: Sequence[InputFile] = ()
    total: int = 0
    bad: int = 0

    def check(self, judge: Judge) -> None:
        """Count the items; raise the first bad row's InputError unless they are to be skipped."""
        deque(self.checked(judge), maxlen=0)

    def checked(self, judge: Judge) -> Iterator[Item]:
        """All items, with what ``check`` counts, raises and tells; none may be judged before the last one is there."""
        scale = scale_in(judge.templates, judge.settings.template)
        off_scale, ungraded = 0, Counter[str]()
        for item in self.items(judge, self._count_bad, replace(self.reading, told=self._tell)):
            self.total += 1
            off_scale += item.truth is not None and item.truth.kind == "label" and scale != (0, 1)
            ungraded.update(filter(None, [why_ungraded(item)]))
            yield item
        if off_scale:
            click.echo(
                f"note: items with a label of 0 or 1: {off_scale}; the scores are not on that scale, so they are neither "
                "right nor wrong, and are measured by ROC-AUC and at a threshold; judge with --template grm-single for "
                "right and wrong",
                err=True,
            )
        if 0 < ungraded.total() < self.total:
            click.echo(f"note: not graded: {ungraded_text(ungraded)}", err=True)

    @property
    def planned(self) -> int:
        """How many of the items are to be judged."""
        return part_size(self.total, self.options)

    def chosen(self, judge: Judge) -> Iterator[Item]:
        """The items that are to be judged."""
        return part_of(self.items(judge), self.total, self.options)

    def items(
        self, judge: Judge, on_bad: Callable[[SpctError], None] | None = None, reading: Reading | None = None
    ) -> Iterator[Item]:
        reading = reading or self.reading
        for item in self._read(on_bad, reading):
            try:
                judge.check(item)
            except TemplateError as error:
                if not self.skip_bad:
                    raise
                if on_bad is not None:
                    on_bad(error)
                continue
            yield item

    def _read(self, on_bad: Callable[[SpctError], None] | None, reading: Reading) -> Iterator[Item]:
        if self.files:
            from spct.cluster.files import read_files

            return read_files(self.files, skip_bad=self.skip_bad, on_bad=on_bad, reading=reading)
        return read_items(self.path, skip_bad=self.skip_bad, on_bad=on_bad, name=self.name, reading=reading)

    def facts(self) -> dict[str, Any]:
        """What a session of the run records of it."""
        return {**file_facts(self.path, self.name), "items": self.planned}

    def _tell(self, understood: str) -> None:
        click.echo(f"{line(self.name)}: {line(understood)}", err=True)

    def _count_bad(self, error: SpctError) -> None:
        self.bad += 1
        if self.bad <= 5:
            click.echo(f"skipped: {error}", err=True)


async def _judge(source: _Input, options: Mapping[str, Any]) -> int:
    judge = judge_of_options(options)
    source.check(judge)
    if options["estimated"]:
        print_estimate(await estimate(source.chosen(judge), source.planned, options), options)
        return 0
    session = {**source.facts(), **{name: options[name] for name in ("concurrency", "timeout_s") if options[name]}}
    async with begun_run(
        judge, options["out"], options, settings={"skip_bad": source.skip_bad}, session=session
    ) as store:
        scale = scale_in(judge.templates, judge.settings.template)
        printed = _json_line if options["as_json"] else partial(_table_line, scale)
        header = None if options["as_json"] else verdict_header()
        totals = await judge_all(judge, source.chosen(judge), source.planned, store, options, printed, header)
        click.echo(run_summary(totals, judge.settings, bad_rows=source.bad), err=options["as_json"])
    return 1 if totals.no_verdict or totals.items < source.planned else 0


async def _judge_by_ray(name: str, options: Mapping[str, Any]) -> int:
    from spct.cluster.files import input_files

    if name == "-":
        raise InputError("--ray reads files, folders and patterns, and not stdin; name one")
    files = input_files(name)
    source = _Input(name, Path(name), options["skip_bad"], make_reading(options), options, files)
    judge = judge_of_options(options)
    part_size(0, options)  # refuses two parts

    def checked() -> Iterator[Item]:
        """What is to be judged, in one reading of all; a sample is drawn by their number, which takes one before."""
        if options["sample"] is None:
            return part_of(source.checked(judge), 0, options)
        source.check(judge)
        return source.chosen(judge)

    read_by = {option: options[option] for option in ("limit", "sample", "map", "group_by", "sheet", "encoding")}
    facts = {
        "files": [file.as_row() for file in files],
        **read_by,
        "seed": options["seed"],
        "skip_bad": source.skip_bad,
    }
    done = await judge_batch(
        judge_of_options,
        BatchItems(facts, checked),
        options["out"],
        options,
        settings={"skip_bad": source.skip_bad},
        session={"input": name},
        printed=options["as_json"],
    )
    totals = done.totals
    click.echo(run_summary(totals, judge.settings, bad_rows=source.bad), err=options["as_json"])
    return 1 if totals.no_verdict or totals.items < (totals.planned or 0) else 0


def _json_line(outcome: Outcome) -> str:
    return outcome.verdict.to_json()


def _table_line(scale: Scale | None, outcome: Outcome) -> str:
    return verdict_line(outcome.verdict, outcome.item, scale=scale)


@contextlib.contextmanager
def _source_file(source: str) -> Iterator[Path]:
    """The input as a file that can be read twice: stdin is spooled to disk."""
    if source != "-":
        yield Path(source)
        return
    with tempfile.NamedTemporaryFile(prefix="spct-stdin-") as spool:
        try:
            shutil.copyfileobj(sys.stdin.buffer, spool)
        except OSError as error:
            raise InputError(f"stdin cannot be kept for reading it twice: {error}; name a file") from error
        spool.flush()
        yield Path(spool.name)
