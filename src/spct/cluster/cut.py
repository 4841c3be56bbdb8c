"""An input cut into shards: files of a fixed number of items in ``DIR/shards``, and a manifest that a second start trusts.

A shard is a file, because Ray promises no alignment of its batches with anything. Its items have their ids already: those that
one process would have given them over the whole input. Failure rule: what cannot be written or read back is a RunError, an
input that is not the one of the manifest a ResumeRefusedError.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from spct.errors import ResumeRefusedError, RunError
from spct.items import item_to_row, parse_item
from spct.run.damage import as_damage
from spct.run.opening import differences
from spct.run.writer import as_run_error
from spct.types import Item

FOLDER, MANIFEST = "shards", "cut.json"


@dataclass(frozen=True, slots=True)
class Shard:
    """``count`` items of the run from the place ``begin`` on; ``sha256`` is that of the file that holds them."""

    number: int
    begin: int
    count: int
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.number:06}"


@dataclass(frozen=True, slots=True)
class Cut:
    """The shards in ``folder``; ``id`` is the batch's own, by which actors know what they have of it on their disks."""

    folder: Path
    id: str
    shards: tuple[Shard, ...]
    facts: Mapping[str, Any]

    @property
    def items(self) -> int:
        return sum(shard.count for shard in self.shards)

    def file(self, shard: Shard) -> Path:
        return self.folder / f"{shard.name}.jsonl.gz"

    def read(self, shard: Shard) -> bytes:
        """The file of a shard. Raises RunError where it is not what was written."""
        with as_run_error(self.folder):
            packed = self.file(shard).read_bytes()
        if hashlib.sha256(packed).hexdigest() != shard.sha256:
            raise RunError(f"{self.file(shard)} is damaged; delete {self.folder}, and the input is cut anew")
        return packed


def kept_cut(out: Path, facts: Mapping[str, Any]) -> Cut | None:
    """The cut that is there already, None if there is none. Raises ResumeRefusedError unless it was made by these facts."""
    path = out / FOLDER / MANIFEST
    if not path.is_file():
        return None
    with as_run_error(out), as_damage(str(path)):
        row = orjson.loads(path.read_bytes())
        shards = tuple(Shard(*values) for values in row["shards"])
        found = Cut(out / FOLDER, str(row["id"]), shards, row["facts"])
    asked = orjson.loads(orjson.dumps(facts))
    if changed := differences({**found.facts}, {**asked}, "when it was cut", "now"):
        raise ResumeRefusedError(
            f"{out}: its input was cut into shards by other facts:\n"
            + "\n".join(changed)
            + "\nstart a new run with another --out"
        )
    return found


def cut(items: Iterable[Item], out: Path, shard_items: int, facts: Mapping[str, Any]) -> Cut:
    """Write the items into shards, one shard in memory at a time; what an earlier cut left is deleted.

    ``facts`` are JSON, all that the cut depends on. Whatever ``items`` raises, nothing is left.
    """
    folder = out / FOLDER
    with as_run_error(out):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    try:
        shards = _written(items, folder, shard_items)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    made = Cut(folder, uuid.uuid4().hex, tuple(shards), dict(facts))
    listed = [[shard.number, shard.begin, shard.count, shard.sha256] for shard in shards]
    put(folder / MANIFEST, orjson.dumps({"id": made.id, "facts": made.facts, "shards": listed}))
    return made


def _written(items: Iterable[Item], folder: Path, shard_items: int) -> list[Shard]:
    shards: list[Shard] = []
    stream, begin = iter(items), 0
    while rows := [item_to_row(item, kept=False) for item in islice(stream, shard_items)]:
        packed = gzip.compress(b"\n".join(map(orjson.dumps, rows)), 1, mtime=0)
        shard = Shard(len(shards), begin, len(rows), hashlib.sha256(packed).hexdigest())
        made = Cut(folder, "", (), {})
        put(made.file(shard), packed)
        shards.append(shard)
        begin += shard.count
    return shards


def items_in(packed: bytes, where: str) -> Iterator[Item]:
    """The items of a shard's file."""
    for number, line in enumerate(gzip.decompress(packed).split(b"\n")):
        yield parse_item(orjson.loads(line), where=f"{where}, item {number}")


def put(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises RunError."""
    with as_run_error(path.parent):
        partial = path.with_name(f".{path.name}.part")
        partial.write_bytes(data)
        partial.replace(path)
