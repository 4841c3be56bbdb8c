"""No command takes a blank path for the current directory."""

import click
import pytest
from click.testing import CliRunner

from spct.cli import COMMANDS, spct


def commands(command, name=()):
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            yield from commands(command.get_command(context, each), (*name, each))
    else:
        yield name, command


FOUND = dict(commands(spct))
PATHS = [
    (name, option.opts[0])
    for name, command in FOUND.items()
    for option in command.params
    if isinstance(option, click.Option) and isinstance(option.type, click.Path)
]


def test_the_commands_that_write_are_among_them():
    assert {name[0] for name, option in PATHS if option == "--out"} == {
        "audit", "bench", "data", "import", "judge", "jury", "labels", "merge", "principles", "probe", "rubric", "serve", "train",
    }  # fmt: skip
    assert {name[0] for name in FOUND} == set(COMMANDS)


@pytest.mark.parametrize(("name", "option"), PATHS)
def test_a_blank_path_is_refused(name, option, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    needed = [
        word for one in FOUND[name].params if isinstance(one, click.Argument) for word in ["x"] * bool(one.required)
    ]
    for blank in ("", "  "):
        done = CliRunner().invoke(spct, [*name, *needed, option, blank])
        assert done.exit_code == 2
        assert "got a blank path" in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_blank_argument_is_refused_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("show", "vote", "runs", "audit"):
        done = CliRunner().invoke(spct, [name, ""])
        assert (done.exit_code, "got a blank path" in done.output) == (2, True)
