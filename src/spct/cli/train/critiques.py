"""``spct train critiques``: have every response of training items criticised, for CLoud."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.progress import write_line
from spct.cli.running import begun_run, judge_all
from spct.cli.session import engine_options, make_engine
from spct.cli.stopping import run_stoppable
from spct.errors import SpctError
from spct.items import read_items
from spct.judges.settings import judge_settings
from spct.run.opening import files_facts
from spct.train.baselines.critiques import (
    CRITIQUES,
    REPORT,
    RUN,
    CritiqueJudge,
    report_lines,
    write_critiques,
)
from spct.train.baselines.pairs import gives_pairs
from spct.train.common.directory import finish_sampling
from spct.types import Item
from spct.wording import count


@click.command(cls=Command)
@click.argument("items", type=PATH, nargs=-1, required=True)
@engine_options
@click.option("--out", type=PATH, metavar="DIR", required=True, help="Write run and results here.")
@click.option(
    "-k", type=click.IntRange(1), default=1, show_default=True, help="Sample so many critiques of each response."
)
@click.option("--temperature", default=0.5, show_default=True, help="Sample at this temperature; 0 is greedy.")
@click.option(
    "--top-p", default=1.0, show_default=True, help="Sample from the likeliest tokens that make up this share."
)
@click.option("--max-tokens", default=1024, show_default=True, help="Cut a critique off after so many tokens.")
@click.option("--retries", default=2, show_default=True, help="Ask so often again for one that is empty or cut off.")
@click.option("--seed", default=0, show_default=True, help="Draw orders and samples by this seed.")
@click.option(
    "--template", default="grm", metavar="PATH", help="Ask by a prompt of your own  [default: the judge cloud's]."
)
@click.option("--skip-bad", is_flag=True, help="Leave out rows that cannot be read, and count them.")
@click.option("--resume", is_flag=True, help="Go on with what is in --out.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on stdout, and nothing else there.")
def critiques(items: tuple[Path, ...], **options: Any) -> int:
    """Sample critiques of every response of ITEMS (files) that have a best one, by the prompt of the judge cloud.

    Writes critiques.jsonl, which spct train baseline cloud learns from (and spct train sft, for a critic), and report.json.

    \b
    Example:
      spct train critiques data/pairs.jsonl --model openai:NAME --out said
    """
    return run_stoppable(_critiques(items, options), options["out"])


async def _critiques(paths: Sequence[Path], options: Mapping[str, Any]) -> int:
    engine = make_engine(options["model"], options)
    names = ("k", "temperature", "top_p", "max_tokens", "retries", "seed", "template")
    judge = CritiqueJudge(engine, judge_settings(**{name: options[name] for name in names}))
    total = sum(1 for _ in _items(paths, options["skip_bad"], say=True))
    out: Path = options["out"]
    session = {**files_facts(paths), "items": total}
    async with begun_run(
        judge, out / RUN, options, settings={"skip_bad": options["skip_bad"]}, session=session
    ) as store:
        await judge_all(judge, _items(paths, options["skip_bad"]), total, store, options)
        assert store is not None
        report = write_critiques(_items(paths, options["skip_bad"]), judge, store, out)
        described = judge.describe()
    finish_sampling(out, "critiques", described, paths, (CRITIQUES, REPORT))
    lines = [orjson.dumps(report).decode()] if options["as_json"] else report_lines(report)
    for line in lines:
        write_line(sys.stdout, line)
    click.echo(f"{out / CRITIQUES} has the critiques", err=True)
    return 1 if any(row["failed_items"] for row in report["sources"].values()) else 0


def _items(paths: Sequence[Path], skip_bad: bool, *, say: bool = False) -> Iterator[Item]:
    """The items that give pairs, streamed anew each time; of the others there is nothing to learn."""
    bad: list[SpctError] = []
    left = 0
    for item in (item for path in paths for item in read_items(path, skip_bad=skip_bad, on_bad=bad.append)):
        if gives_pairs(item):
            yield item
        else:
            left += 1
    if say and bad:
        click.echo(f"{count(len(bad), 'row')} left out; the first: {bad[0]}", err=True)
    if say and left:
        click.echo(f"{count(left, 'item')} left out, with one response or no best one", err=True)
