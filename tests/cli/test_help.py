"""The help of every command: read at 80 columns, with examples that hold; what is misspelt is answered."""

import os
import re
import shlex
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from spct.cli import COMMANDS, spct
from spct.cli.defaults import _commands
from spct.cli.help import COMMANDS as HELP
from spct.cli.help import HEADINGS

SPCT = [sys.executable, "-c", "from spct.cli import main; main()"]
NAMES = [command for command, _ in _commands(spct, ())]


def command_of(name):
    """The command with its context, as it is when its help is asked for."""
    context = spct.context_class(spct, info_name="spct")
    for part in name:
        command = context.command.get_command(context, part)  # type: ignore[attr-defined]
        context = command.context_class(command, info_name=part, parent=context, terminal_width=80)
    return command, context


@pytest.mark.parametrize("name", NAMES, ids=" ".join)
def test_help_fits_80_columns_and_breaks_no_word(name):
    command, context = command_of(name)
    text = command.get_help(context)
    assert [line for line in text.splitlines() if len(line) > 80] == []
    words = text.split()
    told = [param.help or "" for param in command.params if isinstance(param, click.Option)]
    assert {word for help in told for word in help.split() if len(word) < 50} <= set(words) | {"-"}


@pytest.mark.parametrize("name", NAMES, ids=" ".join)
def test_every_option_says_what_it_does_and_every_command_has_an_example_that_holds(name):
    command, _ = command_of(name)
    assert [param.name for param in command.params if isinstance(param, click.Option) and not param.help] == []
    if isinstance(command, click.Group):
        return
    examples = re.findall(r"^ *spct (.+)$", command.help.partition("\b")[2], re.MULTILINE)
    assert examples
    for example in examples:
        words = shlex.split(example)
        assert tuple(words[: len(name)]) == name
        command.make_context(name[-1], words[len(name) :])


def test_the_first_page_has_every_command_once_and_imports_none():
    assert sorted(name for commands in HELP.values() for name in commands) == sorted(COMMANDS)
    code = "import sys; sys.argv[1:] = ['--help']\nfrom spct.cli import main\ntry: main()\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    page, modules = done.stdout.rsplit("\n", 2)[0], done.stdout.rsplit("\n", 2)[1].split()
    assert "spct.cli.judge" not in modules and "aiohttp" not in modules
    assert all(f"  {name} " in page for name in COMMANDS)


def test_an_option_stands_under_one_heading():
    names = [name for names in HEADINGS.values() for name in names]
    assert len(names) == len(set(names))


def test_options_of_serve_that_mean_something_else_stay_with_its_own():
    command, context = command_of(("serve",))
    own = command.get_help(context).partition("This command:")[2].partition("Which judge:")[0]
    assert "--limit NAME=N" in own and "--out DIR" in own and "--model" not in own


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("jugde", "No such command 'jugde'. Did you mean judge?"),
        ("train rll", "No such command 'rll'. Did you mean rl or all?"),
        ("models lst", "No such command 'lst'. Did you mean list?"),
        ("xyzzy", "No such command 'xyzzy'."),
        ("judge x --modle m", "No such option '--modle'. (Did you mean one of: '--model'"),
    ],
)
def test_what_is_misspelt_is_answered_with_what_is_near(typed, meant):
    done = CliRunner().invoke(spct, typed.split())
    assert done.exit_code == 2 and meant in done.stderr


def test_the_shell_completes_commands_and_options():
    def completed(words):
        asked = {"_SPCT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        return subprocess.run(SPCT, capture_output=True, text=True, check=False, env=os.environ | asked).stdout.split()

    assert completed("spct mod") == ["plain,models"]
    assert completed("spct judge --max-t") == ["plain,--max-tokens", "plain,--max-tokens-total", "plain,--max-time"]


def test_spct_alone_says_what_to_try_first():
    done = CliRunner().invoke(spct, [])
    assert "spct models pull smollm2-135m" in done.stdout and "spct judge items.jsonl" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
