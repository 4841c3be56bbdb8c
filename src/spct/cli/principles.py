"""``spct principles write``: principles written once for each query, to be read, edited, and judged by."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import orjson

from spct.aio import gather_all
from spct.cli.help import Group
from spct.cli.paths import PATH
from spct.cli.session import engine_options, make_engine, started
from spct.cli.stopping import run_stoppable
from spct.engines import Engine
from spct.errors import InputError, RequestError
from spct.items import item_to_row, read_items
from spct.judges.first_steps import FirstSteps, Step
from spct.judges.sampling import SamplingSettings
from spct.templates import load_template
from spct.types import Item, Usage
from spct.wording import count

STEP = Step("principles", load_template("principles"))


@click.group(cls=Group)
def principles() -> None:
    """Principles apart from judgments."""


@principles.command()
@click.argument("source", type=PATH, metavar="FILE")
@engine_options
@click.option("--out", type=PATH, metavar="FILE", required=True, help="Write the items here, each with its principles.")
@click.option("--temperature", default=0.5, show_default=True, help="Sample at this temperature; 0 is greedy.")
@click.option(
    "--top-p", default=1.0, show_default=True, help="Sample from the likeliest tokens that make up this share."
)
@click.option("--max-tokens", default=1024, show_default=True, help="Cut principles off after so many tokens.")
@click.option("--seed", default=0, show_default=True, help="Draw orders and samples by this seed.")
@click.option("--retries", default=2, show_default=True, help="Ask so often again where the text has no principles.")
@click.option(
    "--grammar/--no-grammar", default=True, show_default=True, help="Hold answers to their form where the engine can."
)
def write(source: Path, **options: Any) -> int:
    """Write principles for every query of FILE from the query alone, and the items with them to --out.

    Items of one query share them. Edit the file, then judge by it: spct judge OUT --principles given.

    \b
    Example:
      spct principles write items.jsonl --model openai:NAME --out given.jsonl
    """
    if options["out"].exists():
        raise InputError(f"{options['out']} is there already, and may have been edited; name another --out")
    return run_stoppable(_write(source, options), None)


async def _write(source: Path, options: Mapping[str, Any]) -> int:
    items = list(read_items(source))
    engine = make_engine(options["model"], options)
    names = ("temperature", "top_p", "max_tokens", "retries", "grammar")
    sampling = SamplingSettings(**{name: options[name] for name in names})
    async with started(engine):
        written = await _written(engine, items, sampling, options["seed"])
    lacking = [item for item in items if _key(item) not in written]
    with options["out"].open("xb") as file:
        for item in items:
            text = written.get(_key(item))
            file.write(orjson.dumps(item_to_row(replace(item, principles=text) if text else item)) + b"\n")
    click.echo(f"{options['out']}: {count(len(items), 'item')}, principles of {len(written):,} queries")
    if lacking:
        click.echo(f"{count(len(lacking), 'item')} without principles; the first: {lacking[0].id}", err=True)
    return 1 if lacking else 0


async def _written(engine: Engine, items: list[Item], sampling: SamplingSettings, seed: int) -> dict[str, str]:
    """The principles of every query that got some, by ``_key``."""
    writer = FirstSteps(engine, sampling, seed)
    found: dict[str, str] = {}
    room = asyncio.Semaphore(engine.capabilities.concurrency)

    def spent(judgments: object, usage: Usage, prompt: object) -> None:
        """What it cost is not kept."""

    async def of(item: Item) -> None:
        try:
            async with room:
                await writer.text_of(STEP, item, (), found, spent)
        except RequestError as error:
            click.echo(f"{item.id}: {error}", err=True)

    await gather_all([of(item) for item in {_key(item): item for item in items}.values()])
    return found


def _key(item: Item) -> str:
    """What principles depend on: the query, not the responses."""
    return STEP.key(item, ())
