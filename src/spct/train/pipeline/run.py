"""Going through the jobs of all branches: skip what is done, go on with what was begun, stop at the first error.

A job has a directory, beside it the recipe it was called with (``.yaml``), and once it is done a manifest (``.json``):
facts, command, seconds, hashes of its results. Failure rule: a stage's own error passes through; a stage that is asked
for alone and lacks its input is an InputError, an output directory in use a RunError.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from spct.data.output import read_json, write_json, write_text
from spct.errors import InputError, RunError
from spct.run.lock import DirectoryLock
from spct.train import STAGES, Job
from spct.train.common.directory import changed_keys
from spct.train.common.packages import check_keys, check_stage
from spct.train.pipeline.facts import content_hash
from spct.train.pipeline.inputs import check_inputs
from spct.train.pipeline.plan import command_of, placed
from spct.train.stage import Say

STOPPED = 130

State = Literal["done", "stale", "begun", "new"]
Run = Callable[[Sequence[str]], int]
Branches = Mapping[str, Mapping[str, Job]]


@dataclass(frozen=True, slots=True)
class Step:
    """A job and what becomes of it: ``runs`` or not, and why. ``late`` are the inputs that are not there yet."""

    job: Job
    runs: bool
    why: str
    late: tuple[str, ...] = ()


def chosen_stages(names: Sequence[str], only: str | None, start: str | None) -> tuple[str, ...]:
    """Those of the stages called ``names`` that may run: ``only`` one, or those from ``start`` on. Raises InputError."""
    if only and start:
        raise InputError("--only and --from are both there; expected one of them")
    asked = only or start
    if asked is not None and asked not in names:
        raise InputError(f"{'--only' if only else '--from'}: got {asked!r}; expected one of {', '.join(names)}")
    return tuple(names) if asked is None else (only,) if only else tuple(names[names.index(asked) :])


def steps(branches: Branches, out: Path, chosen: Container[str]) -> Iterator[Step]:
    """What is to do, in order, each as the directories are when it is asked for; a job of several branches comes once.

    Stages that are not ``chosen`` do not run; they must be done where they are needed.
    """
    jobs = {job.directory: job for row in branches.values() for job in row.values()}
    for job in jobs.values():
        late = tuple(name for name in job.needs if state_of(jobs[name], out) != "done")
        state = state_of(job, out)
        if state == "done" and not late:
            yield Step(job, False, "done, and nothing has changed")
        elif job.stage.name not in chosen:
            yield Step(job, False, "not asked for")
        elif late:
            yield Step(job, True, f"its input is not there yet: {', '.join(late)}", late)
        else:
            yield Step(job, True, _news(job, out) if state == "new" else _WHY[state])


_WHY = {
    "begun": "begun and not finished: goes on",
    "stale": "what it reads came out otherwise than before: begins anew",
}


def run_all(
    branches: Branches, out: Path, chosen: Container[str], command: Run, say: Say, launch: Path | None = None
) -> int:
    """Run what ``steps`` says; 0, or 1 if some items got no verdict, or 130 where it was stopped.

    ``command`` runs spct with arguments and gives its exit code. Call it again to go on.
    """
    code = 0
    with contextlib.closing(_locked(out)):
        begun = [step.job for step in steps(branches, out, chosen) if step.runs]
        check_inputs(begun)
        for job in begun:
            check_stage(job.stage)
            check_keys(job.values)
        for step in steps(branches, out, chosen):
            if step.late:
                raise InputError(
                    f"{step.job.name} needs {', '.join(step.late)}, which is not done; run all stages first"
                )
            say(f"{step.job.name}: {step.why}" + (f"; in {out / step.job.directory}" if step.runs else ""))
            found = run_job(step.job, out, command, launch) if step.runs else 0
            if found == STOPPED:
                return STOPPED
            code = max(code, found)
    return code


def run_job(job: Job, out: Path, command: Run, launch: Path | None = None) -> int:
    """Run one job and write its manifest; the command's exit code."""
    if state_of(job, out) == "stale":
        _set_aside(out / job.directory)
    text = yaml.safe_dump(placed(job.values, out), sort_keys=False, allow_unicode=True)
    write_text(out / f"{job.directory}.yaml", text)
    arguments = command_of(job, out, launch)
    began = time.monotonic()
    code = command(arguments)
    if code in (0, 1):  # 1: some items have no verdict, which the stage's report counts
        row = {"command": arguments, "exit_code": code, "last_session_s": round(time.monotonic() - began, 3)}
        write_json(_manifest(job.directory, out), {**job.facts, **row, **_inputs(job, out), **_outputs(job, out)})
    elif code != STOPPED:
        raise RunError(f"{job.name}: spct {' '.join(arguments[:2])} ended with code {code}; see what it said above")
    return code


def state_of(job: Job, out: Path) -> State:
    """Whether the job's results are there, as they were and made of what its inputs are now; or some of its work."""
    manifest = read_json(_manifest(job.directory, out))
    if manifest is not None and {"inputs": manifest["inputs"]} != _inputs(job, out):
        return "stale"
    if manifest is not None and {"outputs": manifest["outputs"]} == _outputs(job, out):
        return "done"
    return "begun" if (out / job.directory).is_dir() else "new"


def _outputs(job: Job, out: Path) -> dict[str, Any]:
    """A hash of each of the job's results, by its place in the directory."""
    directory = out / job.directory
    found = sorted(path for pattern in job.stage.results for path in directory.glob(pattern))
    return {"outputs": {path.name: content_hash(path) for path in found}}


def _inputs(job: Job, out: Path) -> dict[str, Any]:
    """The results of the jobs that it reads from, by their manifests."""
    rows = {name: read_json(_manifest(name, out)) for name in job.needs}
    return {"inputs": {name: row and row["outputs"] for name, row in rows.items()}}


def _manifest(directory: str, out: Path) -> Path:
    return out / f"{directory}.json"


def _set_aside(directory: Path) -> None:
    """Keep what was made of other inputs, under another name."""
    if directory.is_dir():
        taken = sum(1 for _ in directory.parent.glob(f"{directory.name}.old*"))
        directory.rename(directory.with_name(f"{directory.name}.old{taken + 1}"))
    _manifest(directory.name, directory.parent).unlink(missing_ok=True)


def _news(job: Job, out: Path) -> str:
    """Why there is nothing of this job: what is other than in the newest finished one of its name."""
    rows = [(path.stat().st_mtime_ns, path) for path in out.glob(f"{job.name}-{'[0-9a-f]' * 8}.json")]
    if not rows:
        return "not done yet"
    before = read_json(max(rows)[1])
    changed = changed_keys(before or {}, job.facts)
    return f"changed since {max(rows)[1].stem}: {'; '.join(line.strip() for line in changed)}"


def _locked(out: Path) -> DirectoryLock:
    """Hold the directory for this process. Raises RunError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        return DirectoryLock(out)
    except RunError:
        raise
    except OSError as error:
        raise RunError(f"{out}: cannot be written: {error.strerror or error}") from error


def unused(branches: Branches, out: Path) -> list[str]:
    """Directories of jobs that no branch has any more: they are left alone, for whoever turns a key back."""
    jobs = [job for row in branches.values() for job in row.values()]
    stages = {*STAGES, *(job.stage.name for job in jobs)}
    found = {path.name for stage in stages for path in out.glob(f"{stage}-*") if path.is_dir()}
    return sorted(found - {job.directory for job in jobs})
