"""Paths on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class _GivenPath(click.Path):
    """A path that is not blank: an empty one, most often an unset variable, would mean the current directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and not value.strip():
            self.fail("got a blank path; name a file or a directory (. for this one)", param, ctx)
        return super().convert(value, param, ctx)


PATH = _GivenPath(path_type=Path)
