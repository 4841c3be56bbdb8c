"""How the help of commands looks: options under headings of what the reader wants, commands with whole sentences, examples.

To add an option to a heading, name it in ``HEADINGS``; what is named nowhere comes first. Examples stand at the end of a
command's docstring, after ``\\b``, which keeps their lines.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import click

from spct.cli.logs import log_options

HEADINGS: Mapping[str, tuple[str, ...]] = {
    "Which judge": (
        "model", "kind", "judge_option", "template", "principles", "rubric", "criteria", "jury", "escalate", "below", "meta",
        "meta_option",
    ),
    "How it judges and votes": (
        "k", "temperature", "top_p", "max_tokens", "seed", "retries", "ordering", "block_size", "trajectory_chars", "adaptive",
        "adaptive_round", "rule", "tie_rule", "k_meta", "grammar", "top_logprobs",
    ),
    "Which items": ("map", "group_by", "sheet", "encoding", "limit", "sample", "skip_bad"),
    "How the model is reached": (
        "base_url", "api_key", "headers", "params", "concurrency", "timeout_s", "requests_per_minute", "tokens_per_minute",
        "context_tokens", "threads", "lora", "engine_option",
    ),
    "What it costs": (
        "cache", "estimated", "pilot", "max_cost", "max_tokens_total", "max_time", "prices", "price_in", "price_out",
    ),
    "On a Ray cluster": ("ray", "shard_items", "actors", "gpus_per_actor"),
    "What is kept and printed": ("out", "resume", "plots", "as_json", "verbose", "log_level", "help"),
}  # fmt: skip
OWN = frozenset({("serve", "limit"), ("serve", "out")})
"""Options that mean something else in this command, so that they stay with its own."""
MANY = 17
"""Options that are too many for one list."""

COMMANDS: Mapping[str, Mapping[str, str]] = {
    "Judge": {
        "judge": "Judge the items of a file and print a verdict on each.",
        "meta": "Rate the judgments of a run, so that a vote can keep the best.",
        "vote": "Vote again over the judgments of a run by other rules.",
        "merge": "Join runs over different items into one.",
        "jury": "Join the runs of several judges over the same items.",
        "rubric": "Learn a rubric, or see what may be wrong with one.",
        "principles": "Write principles for the queries of a file.",
    },
    "Look at runs": {
        "show": "Print a run, or one item with its judgments.",
        "view": "Look at runs in the browser, and label items.",
        "runs": "List the runs in a folder.",
        "export": "Write a run as CSV, XLSX, Parquet, Markdown or HTML.",
        "labels": "Write the items that people labelled in the browser.",
    },
    "Measure a judge": {
        "bench": "Run a judge on a benchmark, with intervals.",
        "compare": "Say whether two runs differ, and on what.",
        "check": "Hold a run against limits, for continuous integration.",
        "audit": "Find what a judge is biased by.",
        "probe": "Change items in ways that must not matter, and judge them again.",
        "import": "Make a run of judgments that others recorded.",
    },
    "Train a judge": {
        "data": "Make training data from preference data sets.",
        "train": "Train a judge, stage by stage or all at once.",
    },
    "Serve, and set up": {
        "serve": "Answer requests for verdicts and rewards over HTTP.",
        "serve-key": "Make a key for a server.",
        "models": "Fetch models for this machine, and list them.",
        "config": "Show which defaults hold, and where they come from.",
    },
}
"""The commands by what they are for, so that the first page needs none of them imported."""


_UNBROKEN = "\N{NON-BREAKING HYPHEN}"


class _Formatter(click.HelpFormatter):
    """Breaks lines between words only: ``token-prob`` and ``--max-cost`` stay whole."""

    def write(self, string: str) -> None:
        super().write(string.replace(_UNBROKEN, "-"))

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args.replace("-", _UNBROKEN), prefix)

    def write_text(self, text: str) -> None:
        super().write_text(text.replace("-", _UNBROKEN))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl([(first, text.replace("-", _UNBROKEN)) for first, text in rows], col_max, col_spacing)


class _Context(click.Context):
    formatter_class = _Formatter


class Command(click.Command):
    """A command whose options stand under headings where there are many; all commands have those of ``cli.logs``."""

    context_class = _Context

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        named = {param.name for param in self.params}
        self.params += [option for option in log_options() if option.name not in named]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        shown = {"help" if "--help" in p.opts else p.name or "": p.get_help_record(ctx) for p in options}
        records = {name: record for name, record in shown.items() if record is not None}
        if len(records) <= MANY:
            super().format_options(ctx, formatter)
            return
        headed = {
            title: [name for name in names if name in records and (self.name, name) not in OWN]
            for title, names in HEADINGS.items()
        }
        own = [name for name in records if not any(name in names for names in headed.values())]
        for title, names in {"This command": own, **headed}.items():
            if names:
                with formatter.section(title):
                    formatter.write_dl([records[name] for name in names], col_max=26)


class Group(click.Group):
    """Commands with the first sentence of each, whole; a name that is none is answered with those near it."""

    context_class = _Context
    command_class = Command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        found = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        rows = [(name, _first_sentence(command)) for name, command in found.items() if command is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant, or an error that names those that are near it."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and self.get_command(ctx, name) is None:
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=3)
            meant = f" Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"No such command {name!r}.{meant}")
        return super().resolve_command(ctx, args)


def _first_sentence(command: click.Command) -> str:
    first = " ".join((command.help or "").split("\n\n")[0].split())
    return f"{first.partition('. ')[0].rstrip('.')}."
