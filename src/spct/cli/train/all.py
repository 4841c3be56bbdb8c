"""``spct train all``: every stage of one recipe, and one report."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import shlex
import signal
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from spct.cli.bench import check_extra
from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.progress import write_line
from spct.cli.train.by_recipe import say
from spct.errors import InputError
from spct.train import STAGES, load_stage, load_stages

STAGE_HELP = "\b\nStages, in the order of their running:\n" + "\n".join(
    textwrap.fill(load_stage(name).help, 76, initial_indent=f"  {name:10} ", subsequent_indent=" " * 13)
    for name in STAGES
)


@click.command(cls=Command, name="all", epilog=STAGE_HELP)
@click.argument("recipe", type=PATH)
@click.option("--out", type=PATH, metavar="DIR", help="Write here  [default: where the recipe says].")
@click.option("--only", metavar="STAGE", help="Run only this stage; what it needs must be done.")
@click.option("--from", "start", metavar="STAGE", help="Run only this stage and those after it.")
@click.option(
    "--dry-run", is_flag=True, help="Say what would run, why, for about how many tokens, and which inputs are missing."
)
@click.option(
    "--set", "more", multiple=True, metavar="NAME=VALUE", help="Set any key of the recipe, as in rl.beta=0.01."
)
@click.option("--launch", type=PATH, metavar="CONFIG",
              help="Run the stages that train by accelerate with this file  [default: the recipe's].")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with what is in --out, which happens without it too.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the plan or the report as JSON on stdout, and nothing else there."
)
def all_(recipe: Path, **options: Any) -> int:
    """Run every stage of a RECIPE (YAML), and its ablations.

    A stage whose keys and inputs are as they were is skipped, one that was begun goes on. Writes a directory for each, and
    report.json and report.md.

    \b
    Example:
      spct train all recipe.yaml --dry-run
    """
    if importlib.util.find_spec("pydantic") is None:
        raise InputError("spct train all checks recipes with pydantic: pip install 'spct[train]'")
    check_extra()
    from spct.cli.train.expected import plan_lines, plan_rows
    from spct.recipe import flag_values
    from spct.train.pipeline.inputs import check_inputs
    from spct.train.pipeline.plan import plan
    from spct.train.pipeline.recipe import read_recipe
    from spct.train.pipeline.report import report_lines, write_report
    from spct.train.pipeline.run import chosen_stages, run_all, steps

    read = read_recipe(recipe, flag_values({}, options["more"]))
    main = read["main"]
    out = options["out"] or main.out
    if out is None:
        raise InputError(f"{recipe}: says nowhere to write; add the key out, or give --out DIR")
    branches = {name: plan(one, _where(recipe, name)) for name, one in read.items()}
    chosen = chosen_stages(list(load_stages(main.stages)), options["only"], options["start"])
    if options["dry_run"]:
        found = list(steps(branches, out, chosen))
        for line in [orjson.dumps(plan_rows(found, out)).decode()] if options["as_json"] else plan_lines(found, out):
            write_line(sys.stdout, line)
        check_inputs([step.job for step in found if step.runs])
        return 0
    try:
        code = run_all(branches, out, chosen, run_command, say, options["launch"] or main.launch)
    finally:
        report = write_report(branches, out) if out.is_dir() else {}
    for line in [orjson.dumps(report).decode()] if options["as_json"] else report_lines(report, branches):
        write_line(sys.stdout, line)
    say(f"{out / 'report.md'} has this report")
    return code


def run_command(arguments: Sequence[str]) -> int:
    """Run spct with these arguments in this process, as if they had been typed; what it prints goes to stderr."""
    from spct.cli import spct

    say(f"spct {shlex.join(arguments)}")
    with _as_typed(arguments), _stdout_to_stderr():
        code = spct.main(list(arguments), prog_name="spct", standalone_mode=False)
    _free_memory()
    return code if isinstance(code, int) else 0


@contextlib.contextmanager
def _as_typed(arguments: Sequence[str]) -> Iterator[None]:
    """What is launched anew, and what says how to go on, reads the command here; a launch takes SIGTERM for itself."""
    before, on_term = sys.argv, signal.getsignal(signal.SIGTERM)
    sys.argv = [before[0], *arguments]
    try:
        yield
    finally:
        sys.argv = before
        signal.signal(signal.SIGTERM, on_term)


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Also for the processes that a stage starts."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _free_memory() -> None:
    """Give the accelerator back what a stage has left."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _where(recipe: Path, branch: str) -> str:
    return str(recipe) if branch == "main" else f"{recipe}: ablations.{branch}"
