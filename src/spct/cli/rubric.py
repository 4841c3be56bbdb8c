"""``spct rubric``: look at a rubric before it is used, or learn one from labelled items."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson
import yaml

from spct.cli.bench import check_extra
from spct.cli.help import Group
from spct.cli.paths import PATH
from spct.cli.progress import write_line
from spct.cli.session import engine_options, make_engine, started
from spct.cli.stopping import run_stoppable
from spct.errors import InputError
from spct.items import read_items
from spct.judges.settings import judge_settings
from spct.rubrics import Rubric
from spct.rubrics.lint import lint as remarks_on
from spct.wording import count

if TYPE_CHECKING:
    from spct.bench.learning.learn import Learned


@click.group(cls=Group)
def rubric() -> None:
    """Look at rubrics, or learn one (docs/rubrics.md)."""


@rubric.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE|NAME...")
def lint(files: tuple[str, ...]) -> int:
    """Check each rubric, and say what may be wrong with it though it can be used; exit code 1 if there is anything.

    \b
    Example:
      spct rubric lint rubric.yaml
    """
    found = 0
    for file in files:
        read = Rubric.load(file)
        remarks = remarks_on(read)
        found += len(remarks)
        judged = len(read.judged)
        write_line(sys.stdout, f"{file}: {judged} criteria to judge, {count(len(read.criteria) - judged, 'check')}")
        for remark in remarks:
            write_line(sys.stdout, f"  {remark}")
    return 1 if found else 0


@rubric.command()
@click.argument("source", type=PATH, metavar="FILE")
@engine_options
@click.option(
    "--out", type=PATH, metavar="FILE", required=True, help="Where the rubric goes; the report goes beside it."
)
@click.option("-k", default=2, show_default=True, help="Judgments of each item, and answers to each question.")
@click.option("--temperature", default=0.5, show_default=True, help="0 is greedy.")
@click.option("--max-tokens", default=1024, show_default=True, help="Longest answer.")
@click.option("--seed", default=0, show_default=True, help="Draw orders and samples by this seed.")
@click.option("--retries", default=2, show_default=True, help="Attempts after an invalid answer.")
@click.option(
    "--grammar/--no-grammar", default=True, show_default=True, help="Constrain the engine's output where it can."
)
@click.option(
    "--pairs", type=click.IntRange(1), default=24, show_default=True, help="Mistakes that questions are proposed from."
)
@click.option("--most", type=click.IntRange(1, 32), default=6, show_default=True, help="Most questions of the rubric.")
def learn(source: Path, **options: Any) -> int:
    """Learn a rubric from the items of FILE whose best response is known.

    Exit code 1 where nothing was gained: without a question that helps, no rubric is written.

    \b
    Example:
      spct rubric learn labelled.jsonl --model openai:NAME --out rubric.yaml
    """
    check_extra()
    if options["out"].exists():
        raise InputError(f"{options['out']} is there already; name another --out")
    return run_stoppable(_learn(source, options), None)


async def _learn(source: Path, options: Mapping[str, Any]) -> int:
    from spct.bench.learning.learn import learn as learn_rubric
    from spct.bench.learning.learn import learned_lines

    names = ("k", "temperature", "max_tokens", "seed", "retries", "grammar")
    settings = judge_settings(**{name: options[name] for name in names})
    engine = make_engine(options["model"], options)
    async with started(engine):
        found = await learn_rubric(
            engine,
            list(read_items(source)),
            settings,
            name=options["out"].stem,
            pairs=options["pairs"],
            most=options["most"],
        )
    for line in learned_lines(found):
        write_line(sys.stdout, line)
    _write(found, source, options["out"])
    return 0 if found.gained else 1


def _write(found: Learned, source: Path, out: Path) -> None:
    """The report as JSON, and the rubric if there is one."""
    report = out.with_suffix(".json")
    report.write_bytes(orjson.dumps(found.as_row(), option=orjson.OPT_INDENT_2))
    if found.rubric is not None:
        head = f"# Learned by spct rubric learn from {source.name}; the report is in {report.name}.\n"
        row = found.rubric.as_row()
        out.write_text(head + yaml.safe_dump(row, sort_keys=False, allow_unicode=True, width=120))
