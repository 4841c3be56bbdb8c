"""``spct train``: the stages of training, one subcommand each, imported when it is called for."""

from __future__ import annotations

import importlib

import click

STAGES = {
    "rft-data": "spct.cli.train_rft:rft_data",
    "sft": "spct.cli.train_sft:sft",
    "rl": "spct.cli.train_rl:rl",
    "meta": "spct.cli.train_meta:meta",
    "critiques": "spct.cli.train_critiques:critiques",
    "baseline": "spct.cli.train_baseline:baseline",
    "export": "spct.cli.train_export:export",
    "all": "spct.cli.train_all:all_",
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
