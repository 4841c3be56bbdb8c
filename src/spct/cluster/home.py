"""The run directory of a batch, which the driver alone writes: whatever shards bring home is added to one run.

A shard that is done is added in one transaction, together with the note that it is: the manifest that a second start trusts is
in the run itself. What is there can be read as one run at any time. Shards half done lie in ``DIR/shards`` until then, the
verdicts as Parquet in ``DIR/verdicts``. Failure rule: what the disk refuses is a RunError.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from spct.cluster.cut import Cut, Shard, put
from spct.cluster.shard import ShardDone
from spct.errors import ResumeRefusedError
from spct.run import RunStore
from spct.run.connection import holds_run
from spct.run.opening import begun, differences
from spct.run.pilot import KEY as NOISE
from spct.run.writer import as_run_error
from spct.templates import Template

VERDICTS = "verdicts"
_DONE = "shard:"


class Home:
    """The run in ``out`` of the shards of ``cut``; close it after use."""

    def __init__(self, out: Path, cut: Cut, store: RunStore) -> None:
        self.out, self.cut = out, cut
        self.store = store
        self.done = {int(key.removeprefix(_DONE)): int(value) for key, value in store.metas_like(_DONE).items()}
        self._before = float(store.meta("seconds") or 0)

    @classmethod
    def begun(
        cls,
        out: Path,
        cut: Cut,
        settings: Mapping[str, Any],
        session: Mapping[str, Any],
        templates: Mapping[str, Template],
        *,
        resume: bool,
    ) -> Home:
        """Make the run or go on with it. Raises ResumeRefusedError for one of other settings, or that one process began."""
        if resume and holds_run(out):
            with contextlib.closing(RunStore.open(out)) as kept:
                _check_equal(out, kept.settings, settings)
        store = begun(out, settings, session, templates, resume=resume)
        try:
            home = cls(out, cut, store)
            home._check_own()
            for shard in cut.shards:
                if shard.number in home.done:
                    home._tidy(shard)
            with as_run_error(out):
                (out / VERDICTS).mkdir(exist_ok=True)
        except BaseException:
            store.close()
            raise
        return home

    @property
    def left(self) -> list[Shard]:
        """The shards that are not done, in order."""
        return [shard for shard in self.cut.shards if shard.number not in self.done]

    @property
    def set_aside(self) -> int:
        """How many items were set aside because actors died over them."""
        return sum(self.done.values())

    @property
    def noise(self) -> str | None:
        """What the first shard learned for adaptive k, as the others are told it: their own items are no pilot."""
        kept = self.store.meta(NOISE)
        return None if kept is None else orjson.dumps({**orjson.loads(kept), "items": 0}).decode()

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raise ResumeRefusedError unless an actor judges by the run's settings: a server may be another one there."""
        _check_equal(self.out, self.store.settings, settings)

    def half_done(self, shard: Shard) -> bytes | None:
        """The run of a shard as it was last brought home."""
        file = self._half(shard)
        with as_run_error(self.out):
            return file.read_bytes() if file.exists() else None

    def keep(self, shard: Shard, run: bytes) -> None:
        """Keep the run of a shard that is being judged."""
        if shard.number not in self.done:
            put(self._half(shard), run)

    def add(self, shard: Shard, result: ShardDone) -> None:
        """Add a shard that is done; what it needed until then goes."""
        put(self.out / VERDICTS / f"{shard.name}.parquet", result.verdicts)
        half = self._half(shard)
        put(half, result.run)
        learned = {} if result.noise is None or shard.number else {NOISE: result.noise}
        self.store.absorb(half, at=shard.begin, meta={f"{_DONE}{shard.number}": str(result.set_aside), **learned})
        self.done[shard.number] = result.set_aside
        self._tidy(shard)

    def took(self, seconds: float) -> None:
        """Keep how long this session has judged."""
        self.store.set_meta("seconds", f"{self._before + seconds:.3f}")

    def close(self) -> None:
        self.store.close()

    def _half(self, shard: Shard) -> Path:
        return self.cut.folder / f"{shard.name}.sqlite"

    def _tidy(self, shard: Shard) -> None:
        half = self._half(shard)
        for file in (
            half,
            half.with_name(f"{half.name}-wal"),
            half.with_name(f"{half.name}-shm"),
            self.cut.file(shard),
        ):
            file.unlink(missing_ok=True)

    def _check_own(self) -> None:
        """The run holds the items of its shards and no others, or shards could not be added to it."""
        if self.store.count("items") > sum(self.cut.shards[number].count for number in self.done):
            raise ResumeRefusedError(
                f"{self.out} has been gone on with by one process, without --ray; go on so, or start a new run with another --out"
            )


def _check_equal(out: Path, kept: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Shards that are done are not judged again, so nothing may change, k and retries among it."""
    if changed := differences(kept, orjson.loads(orjson.dumps(asked)), "in the run", "now"):
        raise ResumeRefusedError(
            f"{out} was made with other settings:\n"
            + "\n".join(changed)
            + "\ngo on with those of the run, or name another --out"
        )
