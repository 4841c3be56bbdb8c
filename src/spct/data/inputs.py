"""A source of a recipe -> its files on this machine, their hashes, and its groups one row at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from spct.bench.suites.assembly import data_files
from spct.data.group import Dropped, Group, LabelRangeError, MissingPackageError
from spct.data.output import file_hash
from spct.data.recipe import SourceRecipe
from spct.data.sources import fetch_source, load_source
from spct.data.sources.source import Source
from spct.errors import InputError
from spct.items import read_rows


@dataclass(frozen=True, slots=True)
class Read:
    """What one row gave: its number in the source, its place relative to the source's folder, and a group or a drop."""

    row: int
    origin: str
    found: Group | Dropped


@dataclass(frozen=True)
class Opened:
    """A source whose files are known."""

    recipe: SourceRecipe
    source: Source
    root: Path
    files: tuple[Path, ...]

    def groups(self) -> Iterator[Read]:
        """Everything in it, in order of file and row. Raises InputError as the recipe's ``on_bad`` says."""
        row = -1
        for file in self.files:
            shown = relative(file, self.root)
            for where, values in read_rows(file):
                row += 1
                if not _is_wanted(values, self.recipe.only):
                    continue
                origin = where.replace(str(file), shown, 1)
                for found in self._read(values, where, file):
                    yield Read(row, origin, found)

    def _read(self, values: Mapping[str, Any], where: str, file: Path) -> Iterator[Group | Dropped]:
        try:
            yield from self.source.read(values, where, file)
        except MissingPackageError:
            raise
        except InputError as error:
            if self.recipe.on_bad == "stop":
                raise InputError(
                    f"{error} (source {self.recipe.label!r}; on_bad: drop leaves such rows out)"
                ) from error
            yield Dropped("label out of range" if isinstance(error, LabelRangeError) else "broken row")


def open_source(recipe: SourceRecipe) -> Opened:
    """Find a source's files, fetching them where the recipe says hub. Raises InputError."""
    source = load_source(recipe.kind)
    if recipe.hub:
        root = fetch_source(
            source.about, recipe.hub if isinstance(recipe.hub, str) else source.about.hub, recipe.revision
        )
    else:
        assert recipe.path is not None
        root = recipe.path
    found = data_files(root, f"{source.about.title}: {source.about.layout}")
    files = _matching(found, root, source.about.files) or found
    if recipe.files:
        files = _matching(files, root, recipe.files)
    if not files:
        raise InputError(
            f"source {recipe.label!r}: none of the {len(found)} files below {root} matches {', '.join(recipe.files)}"
        )
    return Opened(recipe, source, root, tuple(files))


def _matching(files: list[Path], root: Path, globs: tuple[str, ...]) -> list[Path]:
    return [file for file in files if any(fnmatch(f"{root.name}/{relative(file, root)}", glob) for glob in globs)]


def _is_wanted(values: Mapping[str, Any], only: Mapping[str, object]) -> bool:
    return all(values.get(key) == value for key, value in only.items())


def relative(file: Path, root: Path) -> str:
    """``file`` as seen from ``root``, or its name where it is the root itself."""
    return file.name if file == root else file.relative_to(root).as_posix()


def hashed(files: tuple[Path, ...], root: Path) -> dict[str, str]:
    """The hash of each file by its place below ``root``. Raises InputError."""
    return {relative(file, root): file_hash(file) for file in files}
