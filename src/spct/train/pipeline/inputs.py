"""The files that a job's keys name and that are not there, so that a recipe's slips show before hours of work.

A key names files if its recipe types it as a path, however deep; a model or a template does if its text looks like a path.
What another job writes is not looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from spct.errors import InputError
from spct.train.stage import OUT, Job, resolved

FETCHED = "hub"
"""Stands for a benchmark's files where they are to be fetched."""
NAMES_OR_PATHS = ("model", "template", "single_template")


def check_inputs(jobs: Sequence[Job]) -> None:
    """Raise InputError that names every file which these jobs read and which is not there."""
    found = list(dict.fromkeys(line for job in jobs for line in missing_inputs(job)))
    if found:
        raise InputError(
            f"the recipe names files that are not there: {'; '.join(found)}; expected files or directories that exist, "
            "their paths taken from the current directory"
        )


def missing_inputs(job: Job) -> Iterator[str]:
    """Key and path of each input that is not there."""
    for key, text in _named(job.values, _path_keys(job.stage.recipe), job.stage.name):
        if not text.startswith(OUT) and text != FETCHED and not Path(text).expanduser().exists():
            yield f"{key} {text}"


def _named(value: Any, keys: frozenset[str], where: str) -> Iterator[tuple[str, str]]:
    """Every text in ``value`` that stands for a file, behind its key."""
    for key, one in value.items() if isinstance(value, Mapping) else enumerate(value):
        at = f"{where}.{key}"
        texts = [one] if isinstance(one, str) else one
        if key in keys and isinstance(texts, Sequence) and all(isinstance(text, str) for text in texts):
            yield from ((at, text) for text in texts)
        elif key in NAMES_OR_PATHS and isinstance(one, str):
            yield from ((at, path) for path in _paths_of(one))
        elif isinstance(one, Mapping) or (isinstance(one, Sequence) and not isinstance(one, str)):
            yield from _named(one, keys, at)


def _paths_of(name: str) -> Iterator[str]:
    """The parts between colons of a model's or a template's name that can be nothing but paths; none of ``hf:`` names."""
    parts = name.split(":")
    for part in parts:
        if part.startswith(("/", "./", "../", "~")) or (
            part.endswith((".gguf", ".jinja", ".py")) and "hf" not in parts
        ):
            yield part


@cache
def _path_keys(recipe: str | type[BaseModel]) -> frozenset[str]:
    return frozenset(_paths_in(resolved(recipe))) - {"out"}


def _paths_in(recipe: type[BaseModel]) -> Iterator[str]:
    for name, field in recipe.model_fields.items():
        kinds = list(_kinds(field.annotation))
        if Path in kinds:
            yield name
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _paths_in(kind)


def _kinds(annotation: Any) -> Iterator[Any]:
    """A type and all that it is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from _kinds(part)
