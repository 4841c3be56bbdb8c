"""``spct train rl``: rule-based reinforcement learning of a judge."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import orjson

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.progress import write_line
from spct.cli.train.by_recipe import recipe_of, recipe_options, say, train_by_recipe
from spct.errors import InputError
from spct.train import load_stage
from spct.train.common.packages import check_stage
from spct.train.rl.handover import TRAINERS


@click.command(cls=Command)
@click.argument("recipe", type=PATH, required=False)
@click.option("--model", metavar="MODEL", help="Train this model: the model/ of spct train sft, or any chat model.")
@click.option("--data", type=PATH, help="Learn from these items with ground truth (a split of spct data build).")
@click.option("--heldout", type=PATH, help="Judge these items at every checkpoint; the best one is kept.")
@click.option("--too-easy", metavar="ENGINE:NAME", help="Leave out what this weak model judges right 3 of 3 times.")
@click.option("--out", type=PATH, metavar="DIR", help="Write here  [default: where the recipe says].")
@click.option("--steps", type=int, help="Train for so many steps  [default: 900].")
@click.option("--batch", type=int, help="Take so many prompts per step, over all processes  [default: 512].")
@click.option("--group", type=int, help="Sample so many rollouts per prompt, G  [default: 4].")
@click.option("--micro-batch", type=int, help="Have so many rollouts in memory at once, per process  [default: 1].")
@click.option("--beta", type=float, help="Weigh the KL to the model before training by this  [default: 0.08].")
@click.option("--learning-rate", type=float, help="Learn at this rate  [default: 4e-7].")
@click.option("--max-new-tokens", type=int, help="Cut a judgment off after so many tokens  [default: 1024].")
@click.option("--rollouts", type=click.Choice(["shared", "generate", "vllm"]), help="[default: shared]")
@click.option("--to", nargs=2, type=(click.Choice(sorted(TRAINERS)), PATH), metavar="TRAINER DIR",
              help="Train nothing: write into DIR what TRAINER (verl, openrlhf) needs to train the same on many GPUs.")  # fmt: skip
@recipe_options
def rl(
    recipe: Path | None, heldout: Path | None, too_easy: str | None, to: tuple[str, Path] | None, **options: Any
) -> int:
    """Train a judge by GRPO: +1 for a correct judgment, -1 for any other. By a RECIPE (YAML), options, or both.

    Writes checkpoints, then model/ (safetensors, tokenizer, chat template, card), report.json and manifest.json.

    \b
    Example:
      spct train rl --model sft/model --data data/rl.jsonl
    """
    values = {"heldout.path": heldout, "too_easy.model": too_easy}
    if to is not None:
        return _hand_over(*to, recipe, values, **options)
    return train_by_recipe(load_stage("rl"), recipe, values, **options)


def _hand_over(
    trainer: str,
    folder: Path,
    path: Path | None,
    values: Mapping[str, Any],
    *,
    more: tuple[str, ...],
    launch: Path | None,
    resume: bool,
    as_json: bool,
    out: Path | None,
    **options: Any,
) -> int:
    if launch is not None or resume or out is not None:
        raise InputError(f"--to {trainer} trains nothing: leave out --launch, --resume and --out")
    check_stage(load_stage("rl"))
    from spct.train.rl.handover.folder import hand_over

    report = hand_over(trainer, recipe_of(load_stage("rl"), path, {**options, **values}, more), folder, say)
    if as_json:
        write_line(sys.stdout, orjson.dumps(report).decode())
    say(f"written: {folder} ({', '.join(report['files'])}); start it by bash {folder}/launch.sh 8")
    return 0
