"""The files of an input: a path, a folder or a glob, on a disk or in an object store, by the file systems of pyarrow.

They are those that Ray Data reads by: ``s3://``, ``gs://``, ``hdfs://``, ``file://`` or a plain path. Failure rule: what cannot be
listed or read is an InputError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import Any

from spct.errors import InputError, SpctError
from spct.items import Reading, read_items
from spct.items.ids import Ids
from spct.types import Item

WILD = re.compile(r"[*?\[]")
SKIPPED = (".", "_")
"""How files and folders begin that other programs leave beside data: they are not taken from a folder or by a glob."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of an input: ``name`` is what messages call it; ``size`` in bytes; ``changed`` is its time, as text."""

    name: str
    path: str
    size: int
    changed: str
    system: Any

    def as_row(self) -> dict[str, Any]:
        """By what a second start knows that the file is the same."""
        return {"name": self.name, "size": self.size, "changed": self.changed}


def input_files(source: str) -> list[InputFile]:
    """The files that ``source`` names, by name. Raises InputError where there are none."""
    try:
        import pyarrow.fs as filesystems
    except ImportError as error:
        raise InputError("input by Ray needs pyarrow: pip install 'spct[ray]'") from error
    begin, wild = _split(source)
    try:
        if "://" in source:
            system, root = filesystems.FileSystem.from_uri(begin)
        else:
            system, root = filesystems.LocalFileSystem(), str(Path(begin).resolve())
        found = system.get_file_info(root)
        if found.type == filesystems.FileType.Directory:
            infos = system.get_file_info(filesystems.FileSelector(root, recursive=True))
        else:
            infos = [found] if not wild else []
    except (OSError, ValueError) as error:
        raise InputError(f"{source}: cannot be listed: {error}") from error
    matches = re.compile(translate(wild)).match if wild else None
    files = []
    for info in sorted(infos, key=lambda info: str(info.path)):
        below = info.path[len(root) :].strip("/")
        hidden = any(part.startswith(SKIPPED) for part in below.split("/"))
        if info.type == filesystems.FileType.File and not hidden and (matches is None or matches(below)):
            name = source if not below else f"{begin.rstrip('/')}/{below}"
            files.append(InputFile(name, info.path, info.size, str(info.mtime_ns or ""), system))
    if not files:
        raise InputError(
            f"{source}: there is no such file; expected a file, a folder of files, or a pattern such as *.jsonl"
        )
    return files


def _split(source: str) -> tuple[str, str]:
    """The folder before the first wild card, and the pattern below it; all of it and "" where there is none."""
    found = WILD.search(source)
    if found is None:
        return source, ""
    begin, _, _ = source[: found.start()].rpartition("/")
    return begin or ("/" if source.startswith("/") else "."), source[len(begin) :].lstrip("/")


def read_files(
    files: Sequence[InputFile],
    *,
    skip_bad: bool = False,
    on_bad: Callable[[SpctError], None] | None = None,
    reading: Reading | None = None,
) -> Iterator[Item]:
    """The items of all files as those of one file: streamed, ids once over all of them. Raises InputError as ``read_items``."""
    ids = Ids()
    for file in files:
        for item in _of_one(file, skip_bad, on_bad, reading):
            yield item if len(files) == 1 else ids.again(item, file.name)


def _of_one(
    file: InputFile, skip_bad: bool, on_bad: Callable[[SpctError], None] | None, reading: Reading | None
) -> Iterator[Item]:
    try:
        stream = file.system.open_input_file(file.path)
    except OSError as error:
        raise InputError(f"{file.name}: cannot be opened: {error}") from error
    with stream:
        yield from read_items(stream, skip_bad=skip_bad, on_bad=on_bad, name=file.name, reading=reading)
