"""``spct train sft``: fine-tune a model on the kept judgments."""

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
@click.option("--model", metavar="MODEL", help="The model to train: hub id, directory, .gguf or catalogue name.")
@click.option("--trajectories", type=click.Path(path_type=Path), multiple=True, help="Files of spct train rft-data.")
@click.option("--general", type=click.Path(path_type=Path), multiple=True, help="Files of general instruction data.")
@click.option("--general-share", type=float, help="Their share of the examples.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where to write  [default: the recipe's].")
@click.option("--learning-rate", type=float, help="[default: 5e-6]")
@click.option("--batch", type=int, help="Examples per optimizer step, over all processes  [default: 1024].")
@click.option("--micro-batch", type=int, help="Examples in memory at once, per process  [default: 1].")
@click.option("--steps", type=int, help="Optimizer steps  [default: 900].")
@click.option("--epochs", type=float, help="In place of --steps.")
@click.option("--max-tokens", type=int, help="Longest sequence  [default: the model's context].")
@click.option("--packing/--no-packing", default=None, help="Several examples in one sequence.")
@click.option("--seed", type=int)
@click.option("--set", "more", multiple=True, metavar="NAME=VALUE", help="Any key of the recipe, as in lora.rank=8.")
@click.option("--launch", type=click.Path(path_type=Path), metavar="CONFIG", help="Run by accelerate with this file.")
@click.option("--resume", is_flag=True, help="Go on from the last good checkpoint.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON on stdout, and nothing else there.")
def sft(recipe: Path | None, launch: Path | None, resume: bool, as_json: bool, **flags: Any) -> int:
    """Fine-tune a model on trajectories, by a RECIPE (YAML), by options, or by both: options go over the recipe.

    Writes checkpoints, then model/ (safetensors, tokenizer, chat template, card), report.json and manifest.json.
    """
    check_train_extra()
    if launch is not None and launched(launch):
        return 0
    from spct.recipe import flag_values, load_recipe
    from spct.train.sft.recipe import SftRecipe

    values = {name: value for name, value in flags.items() if name not in ("more", "general", "general_share")}
    values["trajectories"] = list(flags["trajectories"]) or None
    values |= {"general.path": list(flags["general"]) or None, "general.share": flags["general_share"]}
    checked = load_recipe(SftRecipe, recipe, flag_values(values, flags["more"]))
    if checked.out is None:
        raise InputError("the recipe says nowhere to write; add the key out, or give --out DIR")
    from spct.train.sft.run import run_sft

    say = (lambda line: click.echo(line, err=True)) if main_process() else (lambda line: None)
    report = run_sft(checked, checked.out, resume=resume, say=say)
    if as_json and main_process():
        write_line(sys.stdout, orjson.dumps(report).decode())
    return 0
