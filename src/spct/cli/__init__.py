"""The command line. Each command is one file; errors become one line on stderr and an exit code here, and only here.

Exit codes: 0 every item got a verdict; 1 the run finished and some items have none; 2 the command, the input or a template
is wrong; 3 the engine, its weights, a service or training failed; 4 the run directory failed or refuses to be resumed;
130 stopped by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from spct.errors import (
    EngineError,
    InputError,
    RunError,
    ServiceError,
    SpctError,
    TemplateError,
    TrainingError,
    WeightsError,
)
from spct.loading import imported

COMMANDS = {
    "judge": "spct.cli.judge:judge",
    "show": "spct.cli.show:show",
    "runs": "spct.cli.runs:runs",
    "vote": "spct.cli.vote:vote",
    "merge": "spct.cli.merge:merge",
    "meta": "spct.cli.meta:meta",
    "bench": "spct.cli.bench:bench",
    "compare": "spct.cli.compare:compare",
    "audit": "spct.cli.audit:audit",
    "import": "spct.cli.import_:import_",
    "serve": "spct.cli.serve:serve",
    "serve-key": "spct.cli.serve:serve_key",
    "models": "spct.cli.models:models",
    "data": "spct.cli.data:data",
    "train": "spct.cli.train:train",
}

EXIT_CODES: list[tuple[type[SpctError], int]] = [
    (RunError, 4),
    (InputError, 2),
    (TemplateError, 2),
    (EngineError, 3),
    (WeightsError, 3),
    (ServiceError, 3),
    (TrainingError, 3),
]


class _Commands(click.Group):
    """Imports a command when it is called for, so that ``spct --help`` and each command stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = imported(COMMANDS[cmd_name])
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="spct")
def spct() -> None:
    """Generative reward models: judge, look, fetch models."""


def main() -> NoReturn:
    """Entry point of the ``spct`` command."""
    try:
        code = spct.main(prog_name="spct", standalone_mode=False)
    except click.exceptions.Abort:
        code = 130
    except click.ClickException as error:
        error.show()
        code = 2
    except SpctError as error:
        click.echo(f"spct: {type(error).__name__}: {error}", err=True)
        code = next(code for kind, code in EXIT_CODES if isinstance(error, kind))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on: no complaint at exit either
        code = 0
    sys.exit(code if isinstance(code, int) else 0)
