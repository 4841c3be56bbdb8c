"""What a job's result depends on: its keys, the content of the files they name, the versions of what computes it.

A key names files if its text, or a part of it between colons (``transformers:PATH``), is a path that exists; so a model
that is only a name on a hub is known by that name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from spct.data.output import file_hash
from spct.train.common.directory import FREE
from spct.train.stage import Stage

CARRYING = {"pydantic", "datasets", "pyarrow", "accelerate", "numpy"}
"""Packages that change no figure, whatever their version."""
SPEED = {"concurrency", "timeout_s", "requests_per_minute", "tokens_per_minute", "threads", "plots"}
"""Options that change no figure."""


def facts_of(stage: Stage, values: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a job. Raises InputError for a file that cannot be read."""
    free = FREE - {"save_every"} if stage.keeps_best else FREE | SPEED
    kept = {name: value for name, value in values.items() if name not in free}
    files = {str(path): content_hash(path) for text in _texts(kept) for path in _paths(text)}
    return {"stage": stage.name, "versions": _versions(stage), "recipe": kept, "files": files}


def content_hash(path: Path) -> str:
    """64 hex digits of a file, or of all files below a directory and their places."""
    if path.is_file():
        return _cached_hash(path, path.stat().st_size, path.stat().st_mtime_ns)
    digest = hashlib.blake2b(digest_size=32)
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{content_hash(file)}\n".encode())
    return digest.hexdigest()


@lru_cache(maxsize=100_000)
def _cached_hash(path: Path, size: int, modified_ns: int) -> str:
    """A file is read once a process, unless it changes: branches share models of many gigabytes."""
    return file_hash(path)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, Sequence):
        for one in value:
            yield from _texts(one)


def _paths(text: str) -> Iterator[Path]:
    for part in dict.fromkeys([text, *text.split(":")]):
        path = Path(part).expanduser()
        try:
            if path.name and path.exists():
                yield path
        except OSError:  # too long for a name: it is none
            continue


def _versions(stage: Stage) -> dict[str, str]:
    """Of the packages that compute the result, and of the file that a stage of your own is in its content."""
    names = ("spct", *(name for name in stage.packages if name not in CARRYING))
    found = {name: found for name in names if (found := _version(name))}
    source = stage.id.rpartition(":")[0]
    if source:
        file = source if source.endswith(".py") else import_module(source).__file__
        found[stage.id] = content_hash(Path(str(file)))
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
