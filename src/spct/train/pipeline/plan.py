"""A checked recipe as jobs: which commands of spct make it, in which directories, from which of the others' results.

A job's directory is named after everything that its result depends on, so a changed key gives another directory to it and
to what comes after it, and to nothing else; branches that agree share theirs. Results of other jobs stand in a job's values
below ``OUT``, wherever the output is in the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from spct.train import Job, Planned, Stage, Upstream, load_stages
from spct.train.pipeline.facts import facts_of
from spct.train.pipeline.recipe import AllRecipe
from spct.train.stage import OUT


def plan(recipe: AllRecipe, where: str) -> dict[str, Job]:
    """The jobs of a recipe by name, in the order of their running. Raises InputError for a key that is wrong."""
    jobs: dict[str, Job] = {}
    sections = recipe.sections()
    upstream = Upstream(recipe.model, recipe.seed, sections, jobs)
    for name, stage in load_stages(recipe.stages).items():
        if name in sections:
            for planned in stage.planned(upstream, sections[name], f"{where}: {name}"):
                jobs[planned.name] = _job(stage, planned, jobs)
    return jobs


def _job(stage: Stage, planned: Planned, jobs: Mapping[str, Job]) -> Job:
    facts = facts_of(stage, planned.values)
    digest = hashlib.blake2b(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS), digest_size=4).hexdigest()
    text = orjson.dumps(planned.values).decode()
    needs = tuple(job.directory for job in jobs.values() if f"{OUT}/{job.directory}" in text)
    return Job(stage, planned.name, planned.command, planned.values, facts, digest, needs)


def command_of(job: Job, out: Path, launch: Path | None) -> list[str]:
    """The arguments of ``spct`` that run the job or go on with it. Recipes are read from beside its directory."""
    where = str(out / job.directory)
    command, values = job.command, placed(job.values, out)
    words = [*(command.words or ("train", job.stage.id))]
    if command.argument is None:
        words += [f"{where}.yaml"]
        options: list[str] = []
    else:
        given = values.pop(command.argument)
        words += [given] if isinstance(given, str) else given
        options = list(_flags(values))
    words += ["--out", where, *(["--resume"] if command.resume else []), *options]
    return words + (["--launch", str(launch)] if command.launch and launch is not None else [])


def placed(values: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Values with the results of other jobs where they are."""
    found: dict[str, Any] = orjson.loads(
        orjson.dumps(values).replace(f"{OUT}/".encode(), orjson.dumps(f"{out}/")[1:-1])
    )
    return found


def _flags(values: Mapping[str, Any]) -> Iterator[str]:
    """Options of a command line; what is None is left to the command."""
    for name, value in values.items():
        flag = f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            if value or name in _SWITCHED:
                yield flag if value else f"--no-{flag[2:]}"
        elif isinstance(value, Mapping):
            yield from (part for key, one in value.items() for part in (flag, f"{key}={orjson.dumps(one).decode()}"))
        elif isinstance(value, Sequence) and not isinstance(value, str):
            yield from (part for one in value for part in (flag, str(one)))
        elif value is not None:
            yield from (flag, str(value))


_SWITCHED = {"hinted", "rejection", "grammar", "plots", "check"}
"""Options that have a form with --no-."""
