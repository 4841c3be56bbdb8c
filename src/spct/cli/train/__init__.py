"""``spct train``: the stages of training, one subcommand each, imported when it is called for."""

from __future__ import annotations

import importlib

import click

STAGES = {
    "rft-data": "spct.cli.train.rft:rft_data",
    "sft": "spct.cli.train.sft:sft",
    "rl": "spct.cli.train.rl:rl",
    "meta": "spct.cli.train.meta:meta",
    "critiques": "spct.cli.train.critiques:critiques",
    "baseline": "spct.cli.train.baseline:baseline",
    "export": "spct.cli.train.export:export",
    "all": "spct.cli.train.all:all_",
}


class _Stages(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(STAGES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in STAGES:
            return None
        module, _, attribute = STAGES[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Stages)
def train() -> None:
    """Train a generative reward model, stage by stage."""
