"""Recorded judgments -> a run directory, the same as a live run leaves, so that every later tool works on them.

To add a kind: a module with a function ``recorded(path, **options) -> RecordedRun``, and a line in ``IMPORTERS``. The
form any recording can be brought into by hand is ``jsonl``: docs/benchmark-data.md describes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from spct.bench.importers.recording import RecordedRun, write_run
from spct.loading import Family

__all__ = ["IMPORTERS", "RecordedRun", "import_recorded"]

IMPORTERS = {
    "rewardbench2-k8": "spct.bench.importers.rewardbench2_k8:recorded",
    "judgebench": "spct.bench.importers.judgebench:recorded",
    "llmbar": "spct.bench.importers.llmbar:recorded",
    "jsonl": "spct.bench.importers.jsonl:recorded",
    "alpaca-eval": "spct.bench.importers.alpaca_eval:recorded",
    "rewardmath": "spct.bench.importers.rewardmath:recorded",
    "pandalm": "spct.bench.importers.pandalm:recorded",
    "auto-j": "spct.bench.importers.auto_j:recorded",
    "reward-bench": "spct.bench.importers.reward_bench:recorded",
    "verifications": "spct.bench.importers.verifications:recorded",
}

_FAMILY = Family("recording kind", RecordedRun, IMPORTERS, named=False)


def import_recorded(kind: str, path: Path, out: Path, **options: str) -> RecordedRun:
    """Bring the recorded judgments at ``path`` into a new run directory ``out``, and return what was read.

    ``options`` are the importer's own (docs/benchmark-data.md). Raises InputError for an unknown kind or option and
    for a file that is not of the kind, RunError where ``out`` holds a run already. The recording is read whole
    before anything is written.
    """
    recording = cast(RecordedRun, _FAMILY.find(kind).make(Path(path), **options))
    write_run(kind, recording, Path(out))
    return recording
