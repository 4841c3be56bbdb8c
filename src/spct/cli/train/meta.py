"""``spct train meta``: train a meta RM on the judgments of runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.train.by_recipe import recipe_options, train_by_recipe
from spct.train import load_stage


@click.command(cls=Command)
@click.argument("recipe", type=PATH, required=False)
@click.option(
    "--model", metavar="MODEL", help="Start from this chat model: hub id, directory, .gguf or catalogue name."
)
@click.option("--run", "runs", type=PATH, multiple=True, metavar="DIR",
              help="Judgments to learn: an --out of spct train rft-data (without the hinted), or any run of the GRM.")  # fmt: skip
@click.option("--heldout-run", "heldout_runs", type=PATH, multiple=True, metavar="DIR",
              help="Hold out this whole run, in place of a share of the queries.")  # fmt: skip
@click.option("--template", metavar="NAME",
              help="The prompt under which it reads judgments, such as meta-rm  [default: the judge's own].")  # fmt: skip
@click.option("--heldout", type=float, help="Hold out this share of the queries  [default: 0.1].")
@click.option("--out", type=PATH, metavar="DIR", help="Write here  [default: where the recipe says].")
@click.option("--learning-rate", type=float, help="Learn at this rate  [default: 1e-5].")
@click.option(
    "--batch", type=int, help="Take so many judgments per optimizer step, over all processes  [default: 512]."
)
@click.option("--micro-batch", type=int, help="Have so many judgments in memory at once, per process  [default: 1].")
@click.option("--epochs", type=float, help="Go through the data at most so often  [default: 3].")
@click.option("--steps", type=int, help="Train for so many steps, in place of --epochs.")
@click.option("--patience", type=int, help="Stop after so many evaluations without a better AUC  [default: 3].")
@click.option("--max-tokens", type=int, help="Longest prompt and judgment  [default: the model's context].")
@recipe_options
def meta(recipe: Path | None, runs: tuple[Path, ...], heldout_runs: tuple[Path, ...], **options: Any) -> int:
    """Train a meta RM on the stored judgments of runs, by a RECIPE (YAML), by options, or by both.

    Writes checkpoints, then model/ (for --meta classifier:DIR/model), report.json, report.md and manifest.json.

    \b
    Example:
      spct train meta --model smollm2-135m --run rft
    """
    values = {"runs": runs or None, "heldout_runs": heldout_runs or None}
    return train_by_recipe(load_stage("meta"), recipe, values, lines=_lines, **options)


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    from spct.train.meta.run import report_lines

    return report_lines(report)
