"""The one report of all stages: what each wrote, put side by side, and accuracy after each stage on the same items.

``report.json`` has everything, ``report.md`` the same as tables. A stage that is not done is left out. Differences
between stages are paired by item, with 95% intervals; nothing else is computed here.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spct.bench.report import Table
from spct.data.output import read_json, write_json, write_text
from spct.train import Job
from spct.train.common.tables import cell
from spct.train.pipeline.accuracy import ablation_lines, accuracy_lines, measured
from spct.train.pipeline.recipe import MAIN
from spct.train.pipeline.run import Branches, state_of, unused
from spct.train.stage import Tables


def write_report(branches: Branches, out: Path) -> dict[str, Any]:
    """Write report.json and report.md of what is done so far, and give the report."""
    report = {
        "branches": {name: _branch(jobs, out) for name, jobs in branches.items()},
        "unused": unused(branches, out),
    }
    write_json(out / "report.json", report)
    write_text(out / "report.md", "\n".join(report_lines(report, branches)) + "\n")
    return report


def _branch(jobs: Mapping[str, Job], out: Path) -> dict[str, Any]:
    done = {name: job for name, job in jobs.items() if state_of(job, out) == "done"}
    return {
        "jobs": [_job_row(job, job.name in done, out) for job in jobs.values()],
        "stages": {
            name: read_json(out / job.directory / job.stage.report)
            for name, job in done.items()
            if job.stage.report is not None
        },
        "bench": measured([job for job in done.values() if job.stage.name == "bench"], out),
    }


def _job_row(job: Job, done: bool, out: Path) -> dict[str, Any]:
    manifest = read_json(out / f"{job.directory}.json") if done else None
    row = {"name": job.name, "directory": job.directory, "done": done}
    return row | {key: manifest[key] for key in ("command", "last_session_s") if manifest}


def report_lines(report: Mapping[str, Any], branches: Branches) -> Iterator[str]:
    """The report as Markdown; of the jobs of ``branches``."""
    yield "# Training report"
    known: set[str] = set()
    for name, branch in report["branches"].items():
        yield from ("", f"## {'Main recipe' if name == MAIN else f'Ablation: {name}'}", "")
        yield from _jobs_table(branch["jobs"]).markdown()
        for title, lines in _parts(branch, branches[name], known):
            if shown := list(lines):
                yield from ("", f"### {title}", "", *shown)
        known |= {job["directory"] for job in branch["jobs"]}
    if len(report["branches"]) > 1:
        found = {name: branch["bench"] for name, branch in report["branches"].items()}
        yield from ("", "## Ablations side by side", "", *ablation_lines(found))
    if report["unused"]:
        yield from ("", f"Left from earlier recipes, and used by none of this: {', '.join(report['unused'])}.")


def _parts(branch: Mapping[str, Any], jobs: Mapping[str, Job], known: Container[str]) -> Tables:
    """Titles and lines of a branch, stage by stage; of jobs in the directories ``known``, which another has shown, none."""
    stages = {job.stage.name: job.stage for job in jobs.values()}
    for stage in stages.values():
        own = [name for name, job in jobs.items() if job.stage == stage and job.directory not in known]
        yield from stage.tables({name: branch["stages"][name] for name in own if name in branch["stages"]})
        if stage.name == "bench":
            yield from ((f"Accuracy: {name}", accuracy_lines(entry)) for name, entry in branch["bench"].items())


def _jobs_table(jobs: Sequence[Mapping[str, Any]]) -> Table:
    rows = [[job["name"], job["directory"], cell(job.get("last_session_s")) if job["done"] else "-"] for job in jobs]
    return Table(["stage", "directory", "seconds of its last session"], rows)
