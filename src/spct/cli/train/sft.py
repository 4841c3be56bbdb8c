"""``spct train sft``: fine-tune a model on the kept judgments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from spct.cli.paths import PATH
from spct.cli.train.by_recipe import recipe_options, train_by_recipe
from spct.train import load_stage


@click.command()
@click.argument("recipe", type=PATH, required=False)
@click.option("--model", metavar="MODEL", help="The model to train: hub id, directory, .gguf or catalogue name.")
@click.option("--trajectories", type=PATH, multiple=True, help="Files of spct train rft-data.")
@click.option("--general", type=PATH, multiple=True, help="Files of general instruction data.")
@click.option("--general-share", type=float, help="Their share of the examples.")
@click.option("--out", type=PATH, metavar="DIR", help="Where to write  [default: the recipe's].")
@click.option("--learning-rate", type=float, help="[default: 5e-6]")
@click.option("--batch", type=int, help="Examples per optimizer step, over all processes  [default: 1024].")
@click.option("--micro-batch", type=int, help="Examples in memory at once, per process  [default: 1].")
@click.option("--steps", type=int, help="Optimizer steps  [default: 900].")
@click.option("--epochs", type=float, help="In place of --steps.")
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
    """
    values = {
        "trajectories": trajectories or None,
        "general.path": general or None,
        "general.share": general_share,
    }
    return train_by_recipe(load_stage("sft"), recipe, values, **options)
