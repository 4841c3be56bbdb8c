"""``spct train``: the stages of training, one subcommand each, imported when it is called for."""

from __future__ import annotations

import click

from spct.cli.help import Group
from spct.loading import imported
from spct.train import STAGES, Stage, load_stage


class _Stages(Group):
    """The commands that the stages have, ``all``, and by ``package.module:NAME`` that of a stage of your own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_commands(), "all"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = load_stage(cmd_name) if ":" in cmd_name else _commands().get(cmd_name)
        if cmd_name == "all":
            found = "spct.cli.train.all:all_"
        if isinstance(found, Stage):
            from spct.cli.train.by_recipe import stage_command

            return stage_command(found)
        if found is None:
            return None
        command = imported(found)
        assert isinstance(command, click.Command)
        return command


def _commands() -> dict[str, str | Stage]:
    """By name, in the order of the stages: where a command is, or the stage of which one is made."""
    found: dict[str, str | Stage] = {}
    for stage in map(load_stage, STAGES):
        if stage.run and not stage.commands:
            found[stage.id] = stage
        found |= stage.commands
    return found


@click.group(cls=_Stages)
def train() -> None:
    """Train a generative reward model, stage by stage."""
