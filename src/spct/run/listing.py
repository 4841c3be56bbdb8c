"""What a run is, at a glance: read from its settings and verdicts, without its judgments."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spct.run.connection import FILE, holds_run
from spct.run.damage import as_damage
from spct.run.store import RunStore
from spct.run.stored import stored_scale, stored_settings
from spct.voting.accuracy import GradesByKind


@dataclass(frozen=True, slots=True)
class RunFacts:
    """``items`` were begun, ``verdicts`` were reached. ``accuracy`` counts a tie as wrong; None where no best is known.

    ``invalid`` is the share of completions without scores, None before the first. ``started`` is the last session's time.
    """

    directory: str
    started: str | None
    model: str
    judge: str
    k: int
    items: int
    verdicts: int
    accuracy: float | None
    graded: int
    invalid: float | None

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


def runs_below(directory: Path) -> Iterator[Path]:
    """The run directories in ``directory`` and below it, by name."""
    for file in sorted(directory.rglob(FILE)):
        if holds_run(file.parent):
            yield file.parent


def run_facts(directory: Path) -> RunFacts:
    """Raises RunError for a run that cannot be read."""
    with contextlib.closing(RunStore.open(directory)) as store, as_damage(str(directory)):
        written, settings = stored_settings(store)
        graded = GradesByKind(stored_scale(store, settings))
        for _, item, row in store.items_and_verdicts():
            if row is not None:
                graded.add(row["means"], item)
        grades = graded.grades
        completions = store.count("judgments")
        sessions = store.sessions()
        return RunFacts(
            directory=str(directory),
            started=sessions[-1][0] if sessions else None,
            model=str(written.get("model")),
            judge=str(written.get("judge") or written.get("imported") or "grm"),
            k=settings.k,
            items=store.count("items"),
            verdicts=store.count("verdicts"),
            accuracy=grades.strict if grades.count else None,
            graded=int(grades.count),
            invalid=sum(store.problem_counts().values()) / completions if completions else None,
        )
