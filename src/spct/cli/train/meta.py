"""``spct train meta``: train a meta RM on the judgments of runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from spct.cli.paths import PATH
from spct.cli.train.by_recipe import recipe_options, train_by_recipe
from spct.train import load_stage


@click.command()
@click.argument("recipe", type=PATH, required=False)
@click.option("--model", metavar="MODEL", help="The base: hub id, directory, .gguf or catalogue name of a chat model.")
@click.option("--run", "runs", type=PATH, multiple=True, metavar="DIR",
              help="Judgments to learn: an --out of spct train rft-data (without the hinted), or any run of the GRM.")  # fmt: skip
@click.option("--heldout-run", "heldout_runs", type=PATH, multiple=True, metavar="DIR",
              help="A run held out whole, in place of a share of the queries.")  # fmt: skip
@click.option("--template", metavar="NAME",
              help="The prompt under which it reads judgments, such as meta-rm  [default: the judge's own].")  # fmt: skip
@click.option("--heldout", type=float, help="Share of the queries held out  [default: 0.1].")
@click.option("--out", type=PATH, metavar="DIR", help="Where to write  [default: the recipe's].")
@click.option("--learning-rate", type=float, help="[default: 1e-5]")
@click.option("--batch", type=int, help="Judgments per optimizer step, over all processes  [default: 512].")
@click.option("--micro-batch", type=int, help="Judgments in memory at once, per process  [default: 1].")
@click.option("--epochs", type=float, help="At most so many  [default: 3].")
@click.option("--steps", type=int, help="In place of --epochs.")
@click.option("--patience", type=int, help="Evaluations without a better AUC before it stops  [default: 3].")
@click.option("--max-tokens", type=int, help="Longest prompt and judgment  [default: the model's context].")
@recipe_options
def meta(recipe: Path | None, runs: tuple[Path, ...], heldout_runs: tuple[Path, ...], **options: Any) -> int:
    """Train a meta RM on the stored judgments of runs, by a RECIPE (YAML), by options, or by both.

    Writes checkpoints, then model/ (for --meta classifier:DIR/model), report.json, report.md and manifest.json.
    """
    values = {"runs": runs or None, "heldout_runs": heldout_runs or None}
    return train_by_recipe(load_stage("meta"), recipe, values, lines=_lines, **options)


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    from spct.train.meta.run import report_lines

    return report_lines(report)
