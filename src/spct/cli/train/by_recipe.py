"""``spct train STAGE RECIPE``: what the commands have in common that train by a recipe, and the command of any such stage."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click
import orjson

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.progress import write_line
from spct.cli.train.launch import launched, main_process
from spct.errors import InputError
from spct.train import Stage
from spct.train.common.packages import check_stage
from spct.train.stage import resolved

Function = Callable[..., Any]


def recipe_options(command: Function) -> Function:
    """The options that come last, after the command's own."""
    for option in reversed(
        [
            click.option("--seed", type=int, help="Draw batches and samples by this seed."),
            click.option(
                "--set",
                "more",
                multiple=True,
                metavar="NAME=VALUE",
                help="Set any key of the recipe, as in lora.rank=8.",
            ),
            click.option("--launch", type=PATH, metavar="CONFIG", help="Run by accelerate with this file."),
            click.option("--resume", is_flag=True, help="Go on from the last good checkpoint."),
            click.option(
                "--json", "as_json", is_flag=True, help="Print the report as JSON on stdout, and nothing else there."
            ),
        ]
    ):
        command = option(command)
    return command


def train_by_recipe(
    stage: Stage,
    path: Path | None,
    values: Mapping[str, Any],
    *given: Any,
    more: tuple[str, ...],
    launch: Path | None,
    resume: bool,
    as_json: bool,
    lines: Callable[[Mapping[str, Any]], Iterable[str]] = lambda _: (),
    **options: Any,
) -> int:
    """Check the recipe in ``path`` with the command's options over it, run the stage, and print what is asked for.

    ``options`` are keys of the recipe as they are named, ``values`` those that have other names or forms; None is not said.
    ``given`` goes to the stage's ``run`` first. ``lines`` makes text of the report where JSON is not asked for.
    """
    check_stage(stage)
    if launch is not None and launched(launch):
        return 0
    recipe = recipe_of(stage, path, {**options, **values}, more)
    if recipe.out is None:
        raise InputError("the recipe says nowhere to write; add the key out, or give --out DIR")
    speaks = main_process()
    report = resolved(stage.run)(*given, recipe, recipe.out, resume=resume, say=say if speaks else _silent)
    if speaks:
        for line in [orjson.dumps(report).decode()] if as_json else lines(report):
            write_line(sys.stdout, line)
    return 0


def recipe_of(stage: Stage, path: Path | None, values: Mapping[str, Any], more: tuple[str, ...]) -> Any:
    """The stage's recipe in ``path``, with ``values`` and the ``more`` of ``--set`` over it. Raises InputError."""
    from spct.recipe import flag_values, load_recipe

    return load_recipe(resolved(stage.recipe), path, flag_values(values, more))


def stage_command(stage: Stage) -> click.Command:
    """The command of a stage that has none of its own: its recipe, and the options that all of them have."""

    @click.command(cls=Command, name=stage.id, help=stage.help)
    @click.argument("recipe", type=PATH, required=False)
    @click.option("--out", type=PATH, metavar="DIR", help="Write here  [default: where the recipe says].")
    @recipe_options
    def command(recipe: Path | None, **options: Any) -> int:
        return train_by_recipe(stage, recipe, {}, **options)

    return command


def say(line: str) -> None:
    click.echo(line, err=True)


def _silent(_: str) -> None:
    """Other processes of a launch than the main one say nothing."""
