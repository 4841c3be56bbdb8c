"""``spct train rl``: rule-based reinforcement learning of a judge."""

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
@click.option("--model", metavar="MODEL", help="The model to train: the model/ of spct train sft, or any chat model.")
@click.option("--data", type=click.Path(path_type=Path), help="Items with ground truth (a split of spct data build).")
@click.option("--heldout", type=click.Path(path_type=Path), help="Items judged at every checkpoint; the best is kept.")
@click.option("--too-easy", metavar="ENGINE:NAME", help="Leave out what this weak model judges right 3 of 3 times.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where to write  [default: the recipe's].")
@click.option("--steps", type=int, help="[default: 900]")
@click.option("--batch", type=int, help="Prompts per step, over all processes  [default: 512].")
@click.option("--group", type=int, help="Rollouts per prompt, G  [default: 4].")
@click.option("--micro-batch", type=int, help="Rollouts in memory at once, per process  [default: 1].")
@click.option("--beta", type=float, help="Weight of the KL to the model before training  [default: 0.08].")
@click.option("--learning-rate", type=float, help="[default: 4e-7]")
@click.option("--max-new-tokens", type=int, help="Longest judgment  [default: 1024].")
@click.option("--rollouts", type=click.Choice(["shared", "generate", "vllm"]), help="[default: shared]")
@click.option("--seed", type=int)
@click.option("--set", "more", multiple=True, metavar="NAME=VALUE", help="Any key of the recipe, as in lora.rank=8.")
@click.option("--launch", type=click.Path(path_type=Path), metavar="CONFIG", help="Run by accelerate with this file.")
@click.option("--resume", is_flag=True, help="Go on from the last good checkpoint.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON on stdout, and nothing else there.")
def rl(recipe: Path | None, launch: Path | None, resume: bool, as_json: bool, **flags: Any) -> int:
    """Train a judge by GRPO: +1 for a correct judgment, -1 for any other. By a RECIPE (YAML), options, or both.

    Writes checkpoints, then model/ (safetensors, tokenizer, chat template, card), report.json and manifest.json.
    """
    check_train_extra()
    if launch is not None and launched(launch):
        return 0
    from spct.recipe import flag_values, load_recipe
    from spct.train.rl.recipe import RLRecipe

    values = {name: value for name, value in flags.items() if name not in ("more", "heldout", "too_easy", "data")}
    paths = {"data": flags["data"], "heldout.path": flags["heldout"]}
    values |= {name: None if path is None else str(path) for name, path in paths.items()}
    values["too_easy.model"] = flags["too_easy"]
    checked = load_recipe(RLRecipe, recipe, flag_values(values, flags["more"]))
    if checked.out is None:
        raise InputError("the recipe says nowhere to write; add the key out, or give --out DIR")
    from spct.train.rl.run import train_rl

    say = (lambda line: click.echo(line, err=True)) if main_process() else (lambda line: None)
    report = train_rl(checked, checked.out, resume=resume, say=say)
    if as_json and main_process():
        write_line(sys.stdout, orjson.dumps(report).decode())
    return 0
