"""The command line. Each command is one file; errors become one line on stderr and an exit code here, and only here.

What each code means is in ``MEANINGS`` and ``EXIT_CODES``. What nobody foresaw is one line too, with the place where it
happened; the environment's SPCT_TRACEBACK=1 shows the whole way there.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import NoReturn

import click

from spct.cli.ending import STOP_WITHIN_S, STOPPED
from spct.cli.help import COMMANDS as HELP
from spct.cli.help import Group
from spct.cli.streams import OutputError, give_up_output, prepare_streams
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
    "export": "spct.cli.export:export",
    "view": "spct.cli.view:view",
    "labels": "spct.cli.labels:labels",
    "vote": "spct.cli.vote:vote",
    "merge": "spct.cli.merge:merge",
    "jury": "spct.cli.jury:jury",
    "rubric": "spct.cli.rubric:rubric",
    "principles": "spct.cli.principles:principles",
    "meta": "spct.cli.meta:meta",
    "bench": "spct.cli.bench:bench",
    "compare": "spct.cli.compare:compare",
    "check": "spct.cli.check:check",
    "audit": "spct.cli.audit:audit",
    "probe": "spct.cli.probe:probe",
    "import": "spct.cli.import_:import_",
    "serve": "spct.cli.serve:serve",
    "serve-key": "spct.cli.serve:serve_key",
    "models": "spct.cli.models:models",
    "data": "spct.cli.data:data",
    "train": "spct.cli.train:train",
    "config": "spct.cli.config:config",
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


OUTPUT, FAULT, UNREAD = 5, 70, 141
MEANINGS = {
    0: "Everything that was asked for is done; every item has a verdict.",
    1: "The run finished, or stopped at a limit of its own, and some items have no verdict; a limit of spct check is not kept.",
    2: "The command is wrong, or a file that it names cannot be read.",
    4: "A file cannot be written: the disk is full, or fails.",
    OUTPUT: "What was asked for cannot be printed: stdout is closed, or its disk is full.",
    FAULT: "A fault of spct itself, or of a class of your own that it was told to use.",
    STOPPED: "Stopped by Ctrl-C or SIGTERM.",
    UNREAD: "Whoever read stdout went away, as head does; said without a word.",
}
"""Exit codes beside those of ``EXIT_CODES``."""
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


class _Commands(Group):
    """Imports a command when it is called for, and none for the first page, so that both stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = imported(COMMANDS[cmd_name])
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in HELP.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))


FIRST = """\
spct judges responses with a generative reward model.
To try it without a server or a key, with a small model that shows how it works:

  spct models pull smollm2-135m
  echo '{"prompt": "Name a prime.", "responses": ["12", "11"]}' > items.jsonl
  spct judge items.jsonl --model embedded:smollm2-135m --out run

With a server that speaks the OpenAI protocol:

  export OPENAI_BASE_URL=http://localhost:8000/v1
  spct judge items.jsonl --model openai:NAME --out run

Then look at the run:

  spct show run
  spct view run
  spct export run --to verdicts.xlsx

All commands: spct --help
"""


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SPCT"},
)
@click.version_option(package_name="spct")
@click.option("--profile", metavar="NAME", help="Take the defaults of this profile of spct.toml.")
@click.pass_context
def spct(context: click.Context, profile: str | None) -> None:
    """Judge responses with a generative reward model; look at runs, measure, train and serve judges.

    Every option can be given as SPCT_COMMAND_OPTION in the environment (SPCT_JUDGE_K=16), and in spct.toml: see spct config.
    """
    if context.invoked_subcommand is None:
        click.echo(FIRST, nl=False)
        return
    from spct.cli.defaults import config_files, default_map, found_defaults

    try:
        here = Path.cwd()
    except OSError:  # the folder is gone, and with it what could be in it
        here = Path("/")
    if profile is not None or config_files(here) or context.invoked_subcommand == "config":
        found = found_defaults(spct, here, profile)
        context.obj, context.default_map = found, default_map(found)


def main() -> NoReturn:
    """Entry point of the ``spct`` command."""
    prepare_streams()
    code = _run()
    try:
        sys.stdout.flush()
    except OutputError as error:
        code = _told(error) if code in (0, 1) else code
        give_up_output()
    if code == STOPPED:  # what still runs in other threads is not waited for
        timer = threading.Timer(STOP_WITHIN_S, os._exit, (STOPPED,))
        timer.daemon = True
        timer.start()
    sys.exit(code)


def _run() -> int:
    """Run the command that the arguments name; its exit code."""
    try:
        code = spct.main(prog_name="spct", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Abort as error:
        if isinstance(error.__cause__, EOFError):  # click takes the end of any file for the end of what is typed
            return _told(error.__cause__)
        return STOPPED
    except click.ClickException as error:
        error.show()
        return 2
    except KeyboardInterrupt:
        return STOPPED
    except Exception as error:
        return _told(error)


def _told(error: Exception) -> int:
    """Say in one line what went wrong; its exit code."""
    if isinstance(error, OutputError):
        give_up_output()
        if error.is_unread:
            return UNREAD
        _say(str(error))
        return OUTPUT
    if isinstance(error, SpctError):
        _say(f"{type(error).__name__}: {error}")
        return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), FAULT)
    if isinstance(error, OSError):
        _say(f"{type(error).__name__}: {error}")
        return 4 if error.errno in _DISK else 2
    if os.environ.get("SPCT_TRACEBACK"):
        traceback.print_exception(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})" if frames else ""
    _say(f"a fault: {type(error).__name__}: {error}{where}; SPCT_TRACEBACK=1 shows where it comes from")
    return FAULT


def _say(text: str) -> None:
    click.echo(f"spct: {text}", err=True)
