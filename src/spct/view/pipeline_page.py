"""A folder of ``spct train all``: its jobs with state, figures and time, and the report, read from what it keeps there.

A job that was begun has the file it was called with (``NAME-DIGEST.yaml``), one that is done a manifest beside it. Jobs that
were planned and not begun are known from the report, which is written whenever the command ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spct.errors import RunError
from spct.run.lock import is_held
from spct.train import STAGES
from spct.train.common.directory import FACTS, REPORT
from spct.view.bench_page import FILE as BENCH_FILE
from spct.view.bench_page import best_of
from spct.view.library import Library, name_below
from spct.view.markup import Text, markdown
from spct.view.training_page import plain, read_object

MOST_FIGURES = 4
SHOWN_FIRST = ("best_accuracy", "accuracy", "items", "steps", "best_step", "rows", "kept")
JOB = "*-" + "[0-9a-f]" * 8 + ".yaml"
_JOB = re.compile(r"(.+)-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job: ``seconds`` are of its last session, ``address`` leads to its page, "" where it has none."""

    name: str
    directory: str
    branches: str
    state: str
    seconds: float | None
    figures: list[tuple[str, str]]
    address: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """``report`` is report.md as it was last written, None before that."""

    name: str
    jobs: list[JobRow]
    report: Text | None

    @property
    def done(self) -> int:
        return sum(job.state == "done" for job in self.jobs)

    @property
    def seconds(self) -> float:
        """Of the last sessions of all jobs."""
        return sum(job.seconds or 0.0 for job in self.jobs)


def pipeline(name: str, folder: Path, library: Library) -> Pipeline:
    """Everything of it. Raises RunError where it cannot be read."""
    report = read_object(folder / REPORT, missing={})
    branches = report.get("branches")
    used: dict[str, list[str]] = {}
    for branch, row in (branches if isinstance(branches, dict) else {}).items():
        for job in row.get("jobs", ()) if isinstance(row, dict) else ():
            used.setdefault(str(job["directory"]), []).append(branch)
    begun = sorted(folder.glob(JOB), key=lambda file: file.stat().st_mtime)
    newest = begun[-1].stem if begun and is_held(folder) else None
    directories = sorted(dict.fromkeys([*(file.stem for file in begun), *used]), key=_place)
    jobs = [_job(folder, one, ", ".join(used.get(one, ())), one == newest, library) for one in directories]
    return Pipeline(name, jobs, _report(folder / "report.md"))


def _job(folder: Path, directory: str, branches: str, at_work: bool, library: Library) -> JobRow:
    manifest = read_object(folder / f"{directory}.json", missing={})
    state = (
        "done" if manifest else "at work" if at_work else "stopped" if (folder / directory).is_dir() else "not begun"
    )
    seconds = manifest.get("last_session_s")
    return JobRow(
        name=_name(directory),
        directory=directory,
        branches=branches,
        state=state,
        seconds=float(seconds) if isinstance(seconds, (int, float)) else None,
        figures=list(_figures(folder / directory))[:MOST_FIGURES],
        address=_address(folder / directory, library),
    )


def _figures(folder: Path) -> Iterator[tuple[str, str]]:
    """The single figures of a job's report, those that are looked at first in front; of a benchmark its accuracy."""
    yield from best_of(folder)
    try:
        report = read_object(folder / REPORT, missing={})
    except RunError as error:
        yield "report", str(error)
        return
    figures = {key: value for key, value in report.items() if type(value) in (int, float)}
    for key in sorted(figures, key=lambda key: SHOWN_FIRST.index(key) if key in SHOWN_FIRST else len(SHOWN_FIRST)):
        yield key, plain(figures[key])


def _address(folder: Path, library: Library) -> str:
    """The page of a job's folder: a stage's, a benchmark's, or that of the first run in it; "" where it has none."""
    root = next((root for root in library.roots if folder.is_relative_to(root)), None)
    for kind, file in (("training", FACTS), ("bench", BENCH_FILE)):
        if root is not None and (folder / file).is_file():
            return f"/{kind}/{name_below(root, folder)}"
    return next((f"/run/{name}/" for name, path in library.runs().items() if folder in (path, path.parent)), "")


def _report(file: Path) -> Text | None:
    try:
        return Text(markdown(file.read_text("utf-8", "replace")))
    except OSError:
        return None


def _name(directory: str) -> str:
    found = _JOB.fullmatch(directory)
    return found[1] if found else directory


def _place(directory: str) -> int:
    """Where a job's stage comes in a pipeline; one of its own comes last."""
    name = _name(directory)
    known = [at for at, stage in enumerate(STAGES) if name == stage or name.startswith(f"{stage}-")]
    return known[0] if known else len(STAGES)
