"""The directory of a training stage: what made it, whether it is finished, whether it may be gone on with.

``stage.json`` holds the facts (recipe, hashes of the inputs, version), written first; ``manifest.json`` the same and the
hashes of what came out, written last. So a directory with the one and without the other was interrupted.
Failure rule: going on with other facts is a ResumeRefusedError that lists them, a disk that refuses a RunError.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from spct.data.output import file_hash, read_json, write_json
from spct.errors import ResumeRefusedError, RunError

if TYPE_CHECKING:  # accelerate and pydantic are needed by those who train, not by those who read a directory
    from accelerate import PartialState

    from spct.train.common.recipe import TrainingRecipe

FACTS = "stage.json"
MANIFEST = "manifest.json"
REPORT = "report.json"
TOKENS = "tokens"
"""The folder of the rows to train on, until that is done."""
FREE = {"out", "save_every", "keep", "keep_rollouts", "log_every", "report_to"}
"""Keys of a recipe that change nothing about the result."""

State = Literal["new", "interrupted", "finished"]


def stage_facts(
    stage: str, recipe: TrainingRecipe, inputs: Sequence[Path], *, keeps_best: bool = False
) -> dict[str, Any]:
    """Everything a stage's result depends on; if it ``keeps_best``, also which checkpoints there are to choose from.

    Raises InputError for an input that cannot be read.
    """
    return {
        "stage": stage,
        "version": version("spct"),
        "recipe": recipe.model_dump(mode="json", exclude=FREE - {"save_every"} if keeps_best else FREE),
        "inputs": {str(path): file_hash(path) for path in inputs},
        "model_files": model_files(recipe.model),
    }


def open_stage(out: Path, facts: Mapping[str, Any], *, resume: bool) -> State:
    """Begin a stage in ``out``, or go on with it. "finished" if it is, with these facts and its outputs as they were.

    One that was refused before it had more than token rows is begun anew, whatever its facts.
    Raises RunError if another stage is there, or this one and not ``resume``; ResumeRefusedError if the facts differ.
    """
    found = read_json(out / FACTS)
    if found is None or not _has_begun(out):
        if found != facts:
            shutil.rmtree(out / TOKENS, ignore_errors=True)
        _make(out)
        write_json(out / FACTS, facts)
        return "new"
    changed = changed_keys(found, facts)
    if not changed and is_finished(out, facts):
        return "finished"
    if not resume:
        raise RunError(f"{out} already holds training; add --resume to go on with it, or name another --out")
    if changed:
        raise ResumeRefusedError(
            f"{out} was begun with other settings:\n" + "\n".join(changed) + "\ngo on with those, or name another --out"
        )
    return "interrupted"


def finished_report(
    out: Path, facts: Mapping[str, Any], processes: PartialState, *, resume: bool, say: Callable[[str], None]
) -> dict[str, Any] | None:
    """Open the stage in every process of a launch, the main one before the others; its report if it is finished.

    Raises as ``open_stage``.
    """
    with processes.main_process_first():
        state = open_stage(out, facts, resume=resume or not processes.is_main_process)
    if state != "finished":
        return None
    say(f"{out} is finished already")
    return read_json(out / REPORT) or {}


def is_finished(out: Path, facts: Mapping[str, Any]) -> bool:
    """Whether ``out`` holds what the stage with these facts gave, unharmed."""
    found = read_json(out / MANIFEST)
    if found is None or changed_keys(found, facts):
        return False
    outputs: Mapping[str, str] = found["outputs"]
    return all((out / name).is_file() and file_hash(out / name) == digest for name, digest in outputs.items())


def finish_stage(out: Path, facts: Mapping[str, Any], report: Mapping[str, Any], outputs: Sequence[Path]) -> None:
    """Write the report, then the manifest with the hashes of ``outputs`` too: the stage is finished, its token rows go."""
    write_json(out / REPORT, report)
    found = [*outputs, out / REPORT]
    files = sorted(file for path in found for file in ([path] if path.is_file() else path.rglob("*")))
    hashes = {str(file.relative_to(out)): file_hash(file) for file in files if file.is_file()}
    write_json(out / MANIFEST, {**facts, "outputs": hashes})
    shutil.rmtree(out / TOKENS, ignore_errors=True)


def finish_sampling(
    out: Path, stage: str, settings: Mapping[str, Any], inputs: Sequence[Path], outputs: Sequence[str]
) -> None:
    """Write the manifest of a stage that keeps its samples in a run: what made its results, by hashes."""
    row = {
        "stage": stage,
        "settings": dict(settings),
        "inputs": {str(path): file_hash(path) for path in inputs},
        "outputs": {name: file_hash(out / name) for name in outputs},
    }
    write_json(out / MANIFEST, row)


def changed_keys(found: Mapping[str, Any], asked: Mapping[str, Any], prefix: str = "") -> list[str]:
    """A line for each key of ``asked`` whose value in ``found`` is another."""
    lines: list[str] = []
    for key, value in asked.items():
        before, name = found.get(key), f"{prefix}{key}"
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            lines += changed_keys({**dict.fromkeys(value), **before}, {**dict.fromkeys(before), **value}, f"{name}.")
        elif before != value:
            lines.append(f"  {name}: {before!r} there, {value!r} now")
    return lines


def model_files(name: str) -> dict[str, str]:
    """Hashes of a local model's files; none for a name that is looked up elsewhere (the name says it all)."""
    path = Path(name).expanduser()
    files = [path] if path.is_file() else sorted(path.glob("*")) if path.is_dir() else []
    return {file.name: file_hash(file) for file in files if file.is_file()}


def _has_begun(out: Path) -> bool:
    return any(path.name not in (FACTS, TOKENS) for path in out.iterdir())


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{out}: cannot be made: {error.strerror or error}") from error
