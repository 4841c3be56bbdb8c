"""``spct train baseline``: train what a generative judge is compared with, on the same items."""

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
@click.argument("kind", type=click.Choice(["scalar", "pairrm", "cloud"]))
@click.argument("recipe", type=click.Path(path_type=Path), required=False)
@click.option("--model", metavar="MODEL", help="The base: hub id, directory, .gguf or catalogue name of a chat model.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Items with a best response (a split of spct data build)."
)
@click.option("--heldout", type=click.Path(path_type=Path), help="Items held out  [default: a share of the queries].")
@click.option(
    "--critiques", type=click.Path(path_type=Path), multiple=True, help="Of cloud: files of spct train critiques."
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where to write  [default: the recipe's].")
@click.option("--learning-rate", type=float, help="[default: 1e-5]")
@click.option("--batch", type=int, help="Pairs per optimizer step, over all processes  [default: 256].")
@click.option("--micro-batch", type=int, help="Pairs in memory at once, per process  [default: 1].")
@click.option("--epochs", type=float, help="[default: 1]")
@click.option("--steps", type=int, help="In place of --epochs.")
@click.option("--max-tokens", type=int, help="Longest text  [default: the model's context].")
@click.option("--seed", type=int)
@click.option("--set", "more", multiple=True, metavar="NAME=VALUE", help="Any key of the recipe, as in lora.rank=8.")
@click.option("--launch", type=click.Path(path_type=Path), metavar="CONFIG", help="Run by accelerate with this file.")
@click.option("--resume", is_flag=True, help="Go on from the last good checkpoint.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON on stdout, and nothing else there.")
def baseline(kind: str, recipe: Path | None, launch: Path | None, resume: bool, as_json: bool, **flags: Any) -> int:
    """Train a baseline by a RECIPE (YAML), options, or both: scalar (Bradley-Terry), pairrm (a pair classifier), cloud (CLoud).

    Every best response is paired with each other one of its item. Writes checkpoints, then model/ (for spct bench --judge
    KIND --model classifier:DIR/model; of cloud the head, beside critic/), report.json and manifest.json.
    """
    check_train_extra()
    if launch is not None and launched(launch):
        return 0
    from spct.recipe import flag_values, load_recipe
    from spct.train.baselines import recipe_of

    values = {name: value for name, value in flags.items() if name != "more"}
    values |= {name: None if flags[name] is None else str(flags[name]) for name in ("data", "heldout")}
    values["critiques"] = [str(path) for path in flags["critiques"]] or None
    checked = load_recipe(recipe_of(kind), recipe, flag_values(values, flags["more"]))
    if checked.out is None:
        raise InputError("the recipe says nowhere to write; add the key out, or give --out DIR")
    from spct.train.baselines.run import train_baseline

    say = (lambda line: click.echo(line, err=True)) if main_process() else (lambda line: None)
    report = train_baseline(kind, checked, checked.out, resume=resume, say=say)
    if as_json and main_process():
        write_line(sys.stdout, orjson.dumps(report).decode())
    return 0
