"""The contract of a training stage: one record that says all that ``spct train`` and ``spct train all`` know of it.

The command group reads its commands, ``spct train all`` its keys, its wiring, its results and its packages. Loading a record
of ours imports neither torch nor pydantic: what needs those is named as ``module:name`` and imported when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spct.errors import InputError
from spct.loading import imported

if TYPE_CHECKING:
    from pydantic import BaseModel

Say = Callable[[str], None]
"""Takes a line for the user."""
Section = Mapping[str, Any]
"""The keys that a recipe of ``spct train all`` gives a stage."""
BASE = "base"
"""What the judge before training is called."""
OUT = "<out>"
"""Stands in a job's values for the output directory, wherever that is in the end."""
TRAIN, DEV, HELDOUT = "train", "dev", "heldout"
"""Splits of the data: to learn from, to choose checkpoints by, to compare the models on."""
TRAINING = ("pydantic", "torch", "transformers", "datasets", "pyarrow")
"""Packages that every stage needs that trains a model."""


@dataclass(frozen=True, slots=True)
class Command:
    """How a job is run: ``spct``, the ``words`` (none: ``train`` and the stage), and the job's values.

    ``argument`` is the key whose value the command takes as its arguments, the other values being options; None where the
    command reads all of them from a recipe file. ``resume`` and ``launch`` say whether it has these options.
    """

    words: tuple[str, ...] = ()
    argument: str | None = None
    resume: bool = True
    launch: bool = False


BY_RECIPE = Command(launch=True)
"""``spct train STAGE RECIPE``, as every stage that trains a model."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A job that a stage asks for: its name, the checked keys it runs with, and its command."""

    name: str
    values: Mapping[str, Any]
    command: Command


@dataclass(frozen=True, slots=True)
class Job:
    """One command in one directory. ``name`` is the stage's, and for a benchmark also its own and the model's.

    ``facts`` are all that its result depends on, ``digest`` 8 hex digits of those. ``needs`` are the directories of jobs that
    it reads from.
    """

    stage: Stage
    name: str
    command: Command
    values: Mapping[str, Any]
    facts: Mapping[str, Any]
    digest: str
    needs: tuple[str, ...]

    @property
    def directory(self) -> str:
        return f"{self.name}-{self.digest}"

    def result(self, path: str) -> str:
        """A file of its directory, as it stands in the values of others."""
        return f"{OUT}/{self.directory}/{path}"


@dataclass(frozen=True, slots=True)
class Upstream:
    """What a stage can take: the recipe's model and seed, its sections by stage, and the jobs planned so far by name.

    Whatever is not there is None; a key that is None is left to the section.
    """

    model: str
    seed: int
    sections: Mapping[str, Section]
    jobs: Mapping[str, Job]

    def result(self, job: str, path: str) -> str | None:
        """A file of a job's directory."""
        return self.jobs[job].result(path) if job in self.jobs else None

    def split(self, name: str) -> str | None:
        """The file of a split, if the data have it."""
        has = "data" in self.jobs and name in self.jobs["data"].values["split"]
        return self.result("data", f"{name}.jsonl") if has else None

    @property
    def choosing(self) -> str | None:
        """The split by which checkpoints are chosen: what is chosen by the items of the report looks too good."""
        return self.split(DEV) or self.split(HELDOUT)

    @property
    def models(self) -> dict[str, str]:
        """The judge before training and after each stage that trains it: names or directories, the last one last."""
        trained = {name: job.result("model") for name, job in self.jobs.items() if job.stage.trains_judge}
        return {BASE: self.model, **trained}

    @property
    def last(self) -> str:
        """The judge that the stages so far end in."""
        return list(self.models.values())[-1]

    @property
    def judging(self) -> dict[str, str]:
        """The same as ENGINE:NAME: a directory by transformers, or with a section ``gguf`` its file by the engine named there."""
        section = self.sections.get("gguf")
        if section is None:
            return {name: f"transformers:{model}" for name, model in self.models.items()}
        found = {}
        for name, model in self.models.items():
            made = self.jobs.get(f"gguf-{name}")
            file = model if made is None else made.result(f"{name}.{made.values['encoding'][0]}.gguf")
            found[name] = f"{section['engine']}:{file}"
        return found

    def checked(self, recipe: str | type[BaseModel], values: Section, where: str) -> dict[str, Any]:
        """Values checked by the class ``recipe``, with the recipe's seed if they have none.

        Raises InputError that begins with ``where``.
        """
        from spct.recipe import parse_recipe

        kind = resolved(recipe)
        if values.get("out") is not None:
            raise InputError(f"{where}: unknown key 'out'; the directory is chosen by spct train all")
        seeded = {"seed": self.seed, **values} if "seed" in kind.model_fields else values
        found: dict[str, Any] = parse_recipe(kind, seeded, where).model_dump(mode="json", exclude={"out"})
        return found


Tables = Iterator[tuple[str, Iterable[str]]]
"""Parts of the report: a title and lines of Markdown."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage. ``name`` is its section in a recipe and begins its directories' names; ``help`` is one line.

    Its work: the class ``recipe`` checks its keys; the function ``run`` does it, called as ``run(recipe, out, resume=...,
    say=...)`` with a recipe derived from ``StageRecipe``, and gives the report. ``command`` runs it, and ``commands`` are its
    own subcommands of ``spct train`` (``module:command``; none: one of its name, made of ``recipe`` and ``run``).
    ``packages`` are those it needs.

    Its place: it runs in the order of ``STAGES``, one of your own after the stage called ``after``. ``inputs`` gives the keys
    that are filled in from what is upstream; where it is more than one job, ``jobs`` gives them from its section.
    ``trains_judge``: its ``model`` is the judge that later stages go on with, and that is measured. ``keeps_best``: it keeps
    the best checkpoint, so how often one is written matters.

    Its results: ``results`` (globs) must be there as they were for it to be skipped. ``report`` is its report's file, None
    where it has none; ``tables`` makes parts of the whole report of those of its jobs, by the jobs' names.

    ``id`` is what it was loaded by.
    """

    name: str
    help: str
    recipe: str | type[BaseModel]
    run: str | Callable[..., Mapping[str, Any]] = ""
    command: Command = BY_RECIPE
    commands: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    after: str = ""
    inputs: Callable[[Upstream], Section] = lambda _: {}
    jobs: Callable[[Upstream, Section, str], Iterator[Planned]] | None = None
    trains_judge: bool = False
    keeps_best: bool = False
    results: tuple[str, ...] = ("report.json",)
    report: str | None = "report.json"
    tables: Callable[[Mapping[str, Any]], Tables] = lambda _: iter(())
    id: str = ""

    def planned(self, upstream: Upstream, section: Section, where: str) -> Iterator[Planned]:
        """Its jobs with all their values. Raises InputError that begins with ``where``."""
        if self.jobs is not None:
            yield from self.jobs(upstream, section, where)
        else:
            values = filled_in(self.inputs(upstream), section)
            yield Planned(self.name, upstream.checked(self.recipe, values, where), self.command)


def resolved(named: Any) -> Any:
    """What ``module:name`` names, or ``named`` itself where it is no text."""
    return imported(named) if isinstance(named, str) else named


def filled_in(given: Section, section: Section) -> dict[str, Any]:
    """``section`` over what is ``given`` it; where both have a mapping under one key, the keys of one over those of the other."""
    values = {key: value for key, value in given.items() if value is not None}
    for key, value in section.items():
        both = isinstance(value, Mapping) and isinstance(values.get(key), Mapping)
        values[key] = {**values[key], **value} if both else value
    return values
