"""``spct train sft``: fine-tune a model on the kept judgments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.train.by_recipe import recipe_options, train_by_recipe
from spct.train import load_stage


@click.command(cls=Command)
@click.argument("recipe", type=PATH, required=False)
@click.option("--model", metavar="MODEL", help="Train this model: hub id, directory, .gguf or catalogue name.")
@click.option("--trajectories", type=PATH, multiple=True, help="Learn from these files of spct train rft-data.")
@click.option("--general", type=PATH, multiple=True, help="Learn from these files of general instruction data too.")
@click.option("--general-share", type=float, help="Their share of the examples.")
@click.option("--out", type=PATH, metavar="DIR", help="Write here  [default: where the recipe says].")
@click.option("--learning-rate", type=float, help="Learn at this rate  [default: 5e-6].")
@click.option(
    "--batch", type=int, help="Take so many examples per optimizer step, over all processes  [default: 1024]."
)
@click.option("--micro-batch", type=int, help="Have so many examples in memory at once, per process  [default: 1].")
@click.option("--steps", type=int, help="Train for so many optimizer steps  [default: 900].")
@click.option("--epochs", type=float, help="Go through the data so often, in place of --steps.")
@click.option("--max-tokens", type=int, help="Longest sequence  [default: the model's context].")
@click.option("--packing/--no-packing", default=None, help="Several examples in one sequence.")
@recipe_options
def sft(
    recipe: Path | None,
    trajectories: tuple[Path, ...],
    general: tuple[Path, ...],
    general_share: float | None,
    **options: Any,
) -> int:
    """Fine-tune a model on trajectories, by a RECIPE (YAML), by options, or by both: options go over the recipe.

    Writes checkpoints, then model/ (safetensors, tokenizer, chat template, card), report.json and manifest.json.

    \b
    Example:
      spct train sft --model smollm2-135m --trajectories rft/trajectories.jsonl
    """
    values = {
        "trajectories": trajectories or None,
        "general.path": general or None,
        "general.share": general_share,
    }
    return train_by_recipe(load_stage("sft"), recipe, values, **options)
