"""``spct train meta``: train a meta RM on the judgments of runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import orjson

from spct.cli.progress import write_line
from spct.cli.train.launch import check_train_extra, launched, main_process
from spct.errors import InputError


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path), required=False)
@click.option("--model", metavar="MODEL", help="The base: hub id, directory, .gguf or catalogue name of a chat model.")
@click.option("--run", "runs", type=click.Path(path_type=Path), multiple=True, metavar="DIR",
              help="Judgments to learn: an --out of spct train rft-data (without the hinted), or any run of the GRM.")  # fmt: skip
@click.option("--heldout-run", "heldout_runs", type=click.Path(path_type=Path), multiple=True, metavar="DIR",
              help="A run held out whole, in place of a share of the queries.")  # fmt: skip
@click.option("--heldout", type=float, help="Share of the queries held out  [default: 0.1].")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where to write  [default: the recipe's].")
@click.option("--learning-rate", type=float, help="[default: 1e-5]")
@click.option("--batch", type=int, help="Judgments per optimizer step, over all processes  [default: 512].")
@click.option("--micro-batch", type=int, help="Judgments in memory at once, per process  [default: 1].")
@click.option("--epochs", type=float, help="At most so many  [default: 3].")
@click.option("--steps", type=int, help="In place of --epochs.")
@click.option("--patience", type=int, help="Evaluations without a better AUC before it stops  [default: 3].")
@click.option("--max-tokens", type=int, help="Longest prompt and judgment  [default: the model's context].")
@click.option("--seed", type=int)
@click.option("--set", "more", multiple=True, metavar="NAME=VALUE", help="Any key of the recipe, as in lora.rank=8.")
@click.option("--launch", type=click.Path(path_type=Path), metavar="CONFIG", help="Run by accelerate with this file.")
@click.option("--resume", is_flag=True, help="Go on from the last good checkpoint.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON on stdout, and nothing else there.")
def meta(recipe: Path | None, launch: Path | None, resume: bool, as_json: bool, **flags: Any) -> int:
    """Train a meta RM on the stored judgments of runs, by a RECIPE (YAML), by options, or by both.

    Writes checkpoints, then model/ (for --meta classifier:DIR/model), report.json, report.md and manifest.json.
    """
    check_train_extra()
    if launch is not None and launched(launch):
        return 0
    from spct.recipe import flag_values, load_recipe
    from spct.train.meta.recipe import MetaRecipe

    values = {name: value for name, value in flags.items() if name != "more"}
    values |= {name: list(flags[name]) or None for name in ("runs", "heldout_runs")}
    checked = load_recipe(MetaRecipe, recipe, flag_values(values, flags["more"]))
    if checked.out is None:
        raise InputError("the recipe says nowhere to write; add the key out, or give --out DIR")
    from spct.train.meta.run import report_lines, train_meta

    say = (lambda line: click.echo(line, err=True)) if main_process() else (lambda line: None)
    report = train_meta(checked, checked.out, resume=resume, say=say)
    if main_process():
        for line in [orjson.dumps(report).decode()] if as_json else report_lines(report):
            write_line(sys.stdout, line)
    return 0
