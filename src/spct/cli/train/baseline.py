"""``spct train baseline``: train what a generative judge is compared with, on the same items."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.train.by_recipe import recipe_options, train_by_recipe
from spct.train import load_stage
from spct.train.baselines import KINDS


@click.command(cls=Command)
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("recipe", type=PATH, required=False)
@click.option(
    "--model", metavar="MODEL", help="Start from this chat model: hub id, directory, .gguf or catalogue name."
)
@click.option("--data", type=PATH, help="Learn from these items with a best response (a split of spct data build).")
@click.option("--heldout", type=PATH, help="Hold these items out  [default: a share of the queries].")
@click.option(
    "--critiques", type=PATH, multiple=True, help="Learn from these files of spct train critiques (cloud only)."
)
@click.option("--out", type=PATH, metavar="DIR", help="Write here  [default: where the recipe says].")
@click.option("--learning-rate", type=float, help="Learn at this rate  [default: 1e-5].")
@click.option("--batch", type=int, help="Take so many pairs per optimizer step, over all processes  [default: 256].")
@click.option("--micro-batch", type=int, help="Have so many pairs in memory at once, per process  [default: 1].")
@click.option("--epochs", type=float, help="Go through the data so often  [default: 1].")
@click.option("--steps", type=int, help="Train for so many steps, in place of --epochs.")
@click.option("--max-tokens", type=int, help="Allow texts of so many tokens  [default: the model's context].")
@recipe_options
def baseline(kind: str, recipe: Path | None, critiques: tuple[Path, ...], **options: Any) -> int:
    """Train a baseline by a RECIPE (YAML), options, or both: scalar (Bradley-Terry), pairrm (a pair classifier), cloud (CLoud).

    Every best response is paired with each other one of its item. Writes checkpoints, then model/ (for spct bench --judge
    KIND --model classifier:DIR/model; of cloud the head, beside critic/), report.json and manifest.json.

    \b
    Example:
      spct train baseline scalar scalar.yaml --out scalar
    """
    stage = replace(load_stage("baselines"), recipe=KINDS[kind].recipe)
    return train_by_recipe(stage, recipe, {"critiques": critiques or None}, kind, **options)
