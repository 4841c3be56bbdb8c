"""``spct import``: recorded judgments of any judge become a run, which every other command then takes."""

from __future__ import annotations

from pathlib import Path

import click

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.errors import InputError


@click.command(cls=Command, name="import")
@click.argument("kind")
@click.argument("path", type=PATH)
@click.option("--out", type=PATH, required=True, metavar="DIR", help="Make this run directory.")
@click.option(
    "--option", multiple=True, metavar="NAME=VALUE", help="Set an option of this kind (docs/benchmark-data.md)."
)
def import_(kind: str, path: Path, out: Path, option: tuple[str, ...]) -> None:
    """Bring the recorded judgments at PATH into a new run directory.

    KIND is jsonl (the general form), alpaca-eval, auto-j, judgebench, llmbar, pandalm, reward-bench, rewardbench2-k8,
    rewardmath or verifications.

    \b
    Example:
      spct import jsonl judgments.jsonl --out run
    """
    from spct.bench.importers import import_recorded

    options = dict(pair.partition("=")[::2] for pair in option)
    if wrong := [pair for pair in option if "=" not in pair]:
        raise InputError(f"--option {wrong[0]!r}: expected NAME=VALUE")
    recording = import_recorded(kind, path, out, **options)
    click.echo(f"imported {recording} into {out}; see it with: spct show {out}")
