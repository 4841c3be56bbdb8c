"""Files of a build or a stage: written beside their place and moved there when whole, hashed, read again.

Raises RunError where the disk says no.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from spct.data.report import SplitCounts
from spct.errors import InputError, RunError, SpctError


class SplitWriters:
    """One JSONL file per split, there once the block ends without an error."""

    def __init__(self, out: Path, names: Iterable[str]) -> None:
        self._out = out
        self.counts = {name: SplitCounts() for name in names}
        self.files: dict[str, Any] = {}
        self._digests = {name: hashlib.blake2b(digest_size=32) for name in self.counts}
        self._stack = ExitStack()

    def __enter__(self) -> SplitWriters:
        try:
            self._streams = {name: self._stack.enter_context(self._temporary(name).open("wb")) for name in self.counts}
        except OSError as error:
            raise RunError(f"{self._out}: cannot be written: {error.strerror or error}") from error
        return self

    def _temporary(self, name: str) -> Path:
        return self._out / f".{name}.jsonl.tmp"

    def write(self, split: str, row: Mapping[str, Any]) -> None:
        line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
        self._digests[split].update(line)
        try:
            self._streams[split].write(line)
        except OSError as error:
            raise RunError(f"{self._out}: cannot be written: {error.strerror or error}") from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None:
            self._discard()
            return
        try:
            self._stack.close()
            for name, counts in self.counts.items():
                temporary, file = self._temporary(name), f"{name}.jsonl"
                size = temporary.stat().st_size
                temporary.replace(self._out / file)
                self.files[file] = {"rows": counts.items, "bytes": size, "hash": self._digests[name].hexdigest()}
        except OSError as failed:
            self._discard()
            raise RunError(f"{self._out}: cannot be written: {failed.strerror or failed}") from failed

    def _discard(self) -> None:
        with suppress(OSError):  # what went wrong is on its way already
            self._stack.close()
        for name in self.counts:
            with suppress(OSError):
                self._temporary(name).unlink(missing_ok=True)


def write_json(path: Path, row: Mapping[str, Any]) -> None:
    write_bytes(path, orjson.dumps(row, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file or leave the old one."""
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Where to write the file ``path``, which is there, whole, once the block ends without an error."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, SpctError):
            raise
        raise RunError(f"{path}: cannot be written: {error.strerror or error}; free some space") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def file_hash(path: Path) -> str:
    """BLAKE2b of a file, 64 hex digits. Raises InputError."""
    digest = hashlib.blake2b(digest_size=32)
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, None where there is no such file. Raises RunError where it cannot be read."""
    try:
        found = orjson.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, orjson.JSONDecodeError) as error:
        raise RunError(f"{path}: cannot be read: {error}; delete it, or what it is in, to begin anew") from error
    return found if isinstance(found, dict) else None
