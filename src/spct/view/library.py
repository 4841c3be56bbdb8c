"""Which runs, training folders and reports a viewer shows, each under a name that its address keeps.

Runs are found below the folders named on the command line, again every few seconds, so that new ones appear and deleted ones
go. A name is the path below the folder, with ~ for each slash; two of one name get a number.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from spct.errors import InputError, RunError
from spct.run.connection import holds_run
from spct.run.listing import runs_below
from spct.train.common.directory import FACTS
from spct.view.index import Index

LOOK_AGAIN_S = 2.0
Kind = Literal["training", "pipeline", "bench"]
MARKS: dict[Kind, re.Pattern[str]] = {
    "training": re.compile(re.escape(FACTS)),
    "pipeline": re.compile(r".+-[0-9a-f]{8}\.yaml"),
    "bench": re.compile(r"results\.json"),
}
"""The file by which a folder is a training stage's, a pipeline's, or one with a report of ``spct bench``."""


@dataclass
class Library:
    """The runs below ``roots``. ``cache`` is where their indexes are kept."""

    roots: Sequence[Path]
    cache: Path
    _runs: dict[str, Path] = field(default_factory=dict)
    _indexes: dict[Path, Index] = field(default_factory=dict)
    _looked: float = -LOOK_AGAIN_S
    _folders: dict[Kind, dict[str, Path]] = field(default_factory=dict)
    _walked: float = -LOOK_AGAIN_S
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def runs(self) -> dict[str, Path]:
        """Every run by its name."""
        with self._lock:
            if time.monotonic() - self._looked >= LOOK_AGAIN_S:
                self._runs = _named(self.roots, self._runs)
                self._looked = time.monotonic()
            return dict(self._runs)

    def path(self, name: str) -> Path:
        """The directory of a run. Raises RunError where there is none (any more)."""
        path = self.runs().get(name)
        if path is None or not holds_run(path):
            raise RunError(f"there is no run {name!r} here; it was moved or deleted, or never was")
        return path

    def index(self, name: str) -> Index:
        """The index of a run, one for each directory. Raises RunError as ``path`` does."""
        path = self.path(name)
        with self._lock:
            if path not in self._indexes:
                self._indexes[path] = Index(path, self.cache)
            return self._indexes[path]

    def folders(self, kind: Kind) -> dict[str, Path]:
        """Every folder of a kind by its name."""
        with self._lock:
            if time.monotonic() - self._walked >= LOOK_AGAIN_S:
                self._folders = folders_below(self.roots)
                self._walked = time.monotonic()
            return dict(self._folders[kind])

    def close(self) -> None:
        """Stop what still indexes in the background."""
        for index in self._indexes.values():
            index.close()


def check_roots(roots: Sequence[Path]) -> None:
    """Raise InputError for a path that is no folder, or if nothing at all is found."""
    for root in roots:
        if not root.is_dir():
            raise InputError(f"{root} is no folder; name a run directory, or a folder with runs in it")


def folders_below(roots: Iterable[Path]) -> dict[Kind, dict[str, Path]]:
    """The folders of each kind by name, found in one walk: a folder with packages and caches in it has 100,000 files."""
    found: dict[Kind, dict[str, Path]] = {kind: {} for kind in MARKS}
    for root in roots:
        for place, folders, files in os.walk(root):
            folders.sort()
            for kind, mark in MARKS.items():
                if any(map(mark.fullmatch, files)):
                    found[kind].setdefault(name_below(root, Path(place)), Path(place))
    return found


def name_below(root: Path, folder: Path) -> str:
    """What a folder below ``root`` is called."""
    return "~".join(folder.relative_to(root).parts) or root.resolve().name


def _named(roots: Sequence[Path], known: dict[str, Path]) -> dict[str, Path]:
    """Runs by name; one that is known keeps its name."""
    names = {path: name for name, path in known.items()}
    found: dict[str, Path] = {}
    for root in roots:
        for path in runs_below(root):
            if path in found.values():
                continue
            name = names.get(path) or _free(name_below(root, path), {*found, *known})
            found[name] = path
    return found


def _free(name: str, taken: set[str]) -> str:
    number, tried = 1, name
    while tried in taken:
        number += 1
        tried = f"{name}-{number}"
    return tried
