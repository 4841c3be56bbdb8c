"""``--verbose`` and ``--log-level`` of every command: what spct logs, as lines on standard error.

The lines of ``spct serve`` are JSON, as its own are.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import click

LEVELS = ("debug", "info", "warning", "error")


def log_options() -> list[click.Option]:
    """The two options; neither reaches the command."""
    return [
        click.Option(
            ["--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_verbose,
            help="Log what happens once or seldom, as servers that are left out (--log-level info).",
        ),
        click.Option(
            ["--log-level"],
            type=click.Choice(LEVELS),
            expose_value=False,
            callback=_level,
            help="Log from this level up, on stderr (docs/logging.md).",
        ),
    ]


def _verbose(context: click.Context, option: click.Parameter, is_set: bool) -> None:
    if is_set and not context.meta.get(__name__):
        listen("INFO", as_json=_is_service(context))


def _level(context: click.Context, option: click.Parameter, level: str | None) -> None:
    if level is not None:
        context.meta[__name__] = level
        listen(level.upper(), as_json=_is_service(context))


def _is_service(context: click.Context) -> bool:
    return context.info_name == "serve"


def listen(level: str | int, *, as_json: bool = False) -> None:
    """Write what spct logs from this level of ``logging`` up, as lines on stderr."""
    root = logging.getLogger("spct")
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _Lines)]
    root.addHandler(_Lines(as_json=as_json))
    root.setLevel(level)


class _Lines(logging.Handler):
    """Writes to what ``sys.stderr`` is at the time, since a live line of progress puts itself in its place."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def emit(self, record: logging.LogRecord) -> None:
        import json  # here, since no page of help needs any of these
        from datetime import UTC, datetime

        from spct.harmless import line

        at = datetime.fromtimestamp(record.created, UTC)
        told = line(record.getMessage())
        level = record.levelname.lower()
        if self._as_json:
            fields: dict[str, Any] = {"time": at.isoformat(timespec="milliseconds"), "event": "log", "level": level}
            text = json.dumps({**fields, "logger": record.name, "message": told})
        else:
            text = f"{at.astimezone():%H:%M:%S} {level} {record.name.removeprefix('spct.')}: {told}"
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
