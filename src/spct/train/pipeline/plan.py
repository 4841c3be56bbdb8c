"""A checked recipe as jobs: which commands of spct make it, in which directories, from which of the others' results.

A job's directory is named after everything that its result depends on, so a changed key gives another directory to it and
to what comes after it, and to nothing else; branches that agree share theirs. Results of other jobs stand in a job's values
below ``OUT``, wherever the output is in the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from spct.data.recipe import TRAIN, DataRecipe
from spct.errors import InputError
from spct.recipe import parse_recipe, unknown_key
from spct.train.baselines import recipe_of
from spct.train.meta.recipe import MetaRecipe
from spct.train.pipeline.facts import facts_of
from spct.train.pipeline.recipe import (
    BASELINES,
    STAGES,
    AllRecipe,
    BenchRecipe,
    CritiquesRecipe,
    ExportRecipe,
    GgufRecipe,
    SamplingRecipe,
    Section,
)
from spct.train.rl.recipe import RLRecipe
from spct.train.sft.recipe import SftRecipe
from spct.weights import CATALOGUE

OUT = "<out>"
DEV, HELDOUT = "dev", "heldout"
"""Splits: by ``dev``, if the data have it, checkpoints are chosen; on ``heldout`` the models are compared."""
BASE = "base"
TRAINED = ("sft", "rl")
CRITIQUES = "baselines-critiques"

Jobs = Mapping[str, "Job"]


@dataclass(frozen=True, slots=True)
class Job:
    """One command. ``name`` is the stage's, and for a benchmark also its own and the model's.

    ``values`` are the keys of its recipe, ``facts`` all that its result depends on, ``digest`` 8 hex digits of those.
    ``needs`` are the directories of jobs that it reads from.
    """

    stage: str
    name: str
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


def plan(recipe: AllRecipe, where: str) -> dict[str, Job]:
    """The jobs of a recipe by name, in the order of their running. Raises InputError for a key that is wrong."""
    jobs: dict[str, Job] = {}
    for stage in STAGES:
        section = getattr(recipe, stage)
        if section is not None:
            for name, values in _WIRED[stage](recipe, section, jobs, f"{where}: {stage}"):
                jobs[name] = _job(stage, name, values, jobs)
    return jobs


def _job(stage: str, name: str, values: Mapping[str, Any], jobs: Jobs) -> Job:
    facts = facts_of(stage, values)
    digest = hashlib.blake2b(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS), digest_size=4).hexdigest()
    text = orjson.dumps(values).decode()
    needs = tuple(job.directory for job in jobs.values() if f"{OUT}/{job.directory}" in text)
    return Job(stage, name, values, facts, digest, needs)


Named = Iterator[tuple[str, dict[str, Any]]]


def _data(recipe: AllRecipe, section: Section, jobs: Jobs, where: str) -> Named:
    yield "data", _checked(DataRecipe, recipe, section, where)


def _rft(recipe: AllRecipe, section: Section, jobs: Jobs, where: str) -> Named:
    given = {"model": f"transformers:{recipe.model}", **_split(jobs, "items", TRAIN)}
    yield "rft", _checked(SamplingRecipe, recipe, {**given, **section}, where)


def _sft(recipe: AllRecipe, section: Section, jobs: Jobs, where: str) -> Named:
    given = {"model": recipe.model} | (
        {"trajectories": jobs["rft"].result("trajectories.jsonl")} if "rft" in jobs else {}
    )
    yield "sft", _checked(SftRecipe, recipe, {**given, **section}, where)


def _rl(recipe: AllRecipe, section: Section, jobs: Jobs, where: str) -> Named:
    given = {"model": _trained(recipe, jobs), **_split(jobs, "data", TRAIN), **section}
    heldout = given.get("heldout", {})
    if heldout is not None and (found := _choosing(jobs, "path")):
        given["heldout"] = {**found, **heldout} if isinstance(heldout, Mapping) else heldout
    yield "rl", _checked(RLRecipe, recipe, given, where)


def _gguf(recipe: AllRecipe, section: Section, jobs: Jobs, where: str) -> Named:
    """A file of each trained model, and of the base where it is none."""
    checked = parse_recipe(GgufRecipe, section, where).model_dump(mode="json", exclude={"engine"})
    models = {} if _is_file(recipe.model) else {BASE: recipe.model}
    models |= {name: jobs[name].result("model") for name in TRAINED if name in jobs}
    for name, model in models.items():
        yield f"gguf-{name}", {**checked, "model": model, "name": name, "encoding": [checked["encoding"]]}


def _samples(recipe: AllRecipe, section: Section, jobs: Jobs, where: str) -> Named:
    given = {
        "model": _judging(recipe, jobs)[-1][1],
        "hinted": False,
        "rejection": False,
        **_split(jobs, "items", TRAIN),
    }
    yield "samples", _checked(SamplingRecipe, recipe, {**given, **section}, where)


def _meta(recipe: AllRecipe, section: Section, jobs: Jobs, where: str) -> Named:
    runs = [f"{OUT}/{jobs[name].directory}" for name in ("rft", "samples") if name in jobs]
    given = {"model": recipe.model} | ({"runs": runs} if runs else {})
    yield "meta", _checked(MetaRecipe, recipe, {**given, **section}, where)


def _baselines(recipe: AllRecipe, section: Section, jobs: Jobs, where: str) -> Named:
    """Each kind that the section names, on the same items and base; before CLoud the critiques that it learns from."""
    for kind in section:
        if kind not in BASELINES:
            raise InputError(f"{where}: {unknown_key(kind, kind, BASELINES)}")
    for kind in [kind for kind in BASELINES if kind in section]:
        given, here = section[kind], f"{where}.{kind}"
        if not isinstance(given, Mapping):
            raise InputError(f"{here}: got {given!r}; write {kind}: {{}} for its defaults, or leave it out")
        given = {"model": recipe.model, **_split(jobs, "data", TRAIN), **_choosing(jobs, "heldout"), **given}
        if kind == "cloud" and isinstance(asked := given.get("critiques", {}), Mapping):
            files = [given[key] for key in ("data", "heldout") if given.get(key) is not None]
            written = {"model": f"transformers:{given['model']}", "items": files, **asked}
            yield CRITIQUES, _checked(CritiquesRecipe, recipe, written, f"{here}.critiques")
            given["critiques"] = jobs[CRITIQUES].result("critiques.jsonl")
        yield f"baselines-{kind}", _checked(recipe_of(kind), recipe, given, here)


def _export(recipe: AllRecipe, section: Section, jobs: Jobs, where: str) -> Named:
    given = {"model": _trained(recipe, jobs), **section}
    yield "export", parse_recipe(ExportRecipe, given, where).model_dump(mode="json")


def _bench(recipe: AllRecipe, section: Section, jobs: Jobs, where: str) -> Named:
    """Every benchmark with the model before training and after each stage; the last also guided by the meta RM."""
    held = _split(jobs, "data", HELDOUT)
    models = dict(_judging(recipe, jobs))
    given = {"model": models[BASE]} | ({"benchmarks": [{"name": "items", **held}]} if held else {})
    checked = _checked(BenchRecipe, recipe, {**given, **_on_heldout(section, held)}, where)
    names = [row["name"] for row in checked["benchmarks"]]
    if again := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{where}: benchmarks: {again[0]!r} is there twice; expected each once")
    models[BASE] = checked["model"]
    of_classifiers = checked.pop("classifier_option")
    for row in checked.pop("benchmarks"):
        for place, (name, model) in enumerate(models.items(), 1):
            values = {**checked, **row, "model": model}
            if place == len(models) and "meta" in jobs:
                values |= {"meta": f"classifier:{jobs['meta'].result('model')}", "meta_option": of_classifiers}
            yield _bench_name(row, name), values
        for kind in BASELINES:
            if f"baselines-{kind}" in jobs:
                yield _bench_name(row, kind), _bench_of_baseline(kind, {**checked, **row}, of_classifiers, jobs)


def _on_heldout(section: Section, held: Mapping[str, str]) -> Section:
    """The section, with the held-out items as the data of the benchmark ``items`` where it names none."""
    rows = section.get("benchmarks")
    if not isinstance(rows, list):
        return section
    own = [{**held, **row} if isinstance(row, Mapping) and row.get("name") == "items" else row for row in rows]
    return {**section, "benchmarks": own}


def _bench_name(benchmark: Mapping[str, Any], model: str) -> str:
    return f"bench-{benchmark['name']}-{model}".replace(":", "-")


def _bench_of_baseline(
    kind: str, values: Mapping[str, Any], of_classifiers: Mapping[str, Any], jobs: Jobs
) -> dict[str, Any]:
    """The same items by the rival judge; of the section's keys those that mean something to it."""
    job = jobs[f"baselines-{kind}"]
    head = f"classifier:{job.result('model')}"
    if kind != "cloud":
        return {key: values[key] for key in _OF_ALL} | {
            "k": 1,
            "judge": kind,
            "model": head,
            "judge_option": of_classifiers,
        }
    template = jobs[CRITIQUES].values["template"] if CRITIQUES in jobs else None
    own = {key: values[key] for key in (*_OF_ALL, *_OF_CRITICS)}
    critic = {"model": f"transformers:{job.result('critic')}", "template": template}
    return own | critic | {"judge": kind, "judge_option": [f"head={head}"]}


_OF_ALL = ("name", "data", "subset", "limit", "seed", "replicates", "plots", "tie_rule", "concurrency")
_OF_CRITICS = (
    "k",
    "greedy",
    "temperature",
    "top_p",
    "max_tokens",
    "retries",
    "context_tokens",
    "threads",
    "engine_option",
)


_WIRED: dict[str, Callable[[AllRecipe, Section, Jobs, str], Named]] = {
    "data": _data,
    "rft": _rft,
    "sft": _sft,
    "rl": _rl,
    "gguf": _gguf,
    "samples": _samples,
    "meta": _meta,
    "baselines": _baselines,
    "bench": _bench,
    "export": _export,
}


def _checked(kind: type[BaseModel], recipe: AllRecipe, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    if given.get("out") is not None:
        raise InputError(f"{where}: unknown key 'out'; the directory is chosen by spct train all")
    return parse_recipe(kind, {"seed": recipe.seed, **given}, where).model_dump(mode="json", exclude={"out"})


def _trained(recipe: AllRecipe, jobs: Jobs) -> str:
    """The model that the stages so far end in."""
    return next((jobs[name].result("model") for name in reversed(TRAINED) if name in jobs), recipe.model)


def _judging(recipe: AllRecipe, jobs: Jobs) -> list[tuple[str, str]]:
    """The model before training and after each stage as ENGINE:NAME: a directory by transformers, or a file by the section
    gguf's engine.
    """
    models = {BASE: recipe.model} | {name: jobs[name].result("model") for name in TRAINED if name in jobs}
    if recipe.gguf is None:
        return [(name, f"transformers:{model}") for name, model in models.items()]
    made = {name: jobs[f"gguf-{name}"] for name in models if f"gguf-{name}" in jobs}
    files = models | {name: job.result(f"{name}.{job.values['encoding'][0]}.gguf") for name, job in made.items()}
    return [(name, f"{recipe.gguf['engine']}:{file}") for name, file in files.items()]


def _is_file(model: str) -> bool:
    return model in CATALOGUE or model.endswith(".gguf")


def _choosing(jobs: Jobs, key: str) -> dict[str, str]:
    """The split by which checkpoints are chosen, under ``key``: what is chosen by the items of the report looks too good."""
    return _split(jobs, key, DEV) or _split(jobs, key, HELDOUT)


def _split(jobs: Jobs, key: str, name: str) -> dict[str, str]:
    """The file of a split under ``key``, if the data have it."""
    if "data" not in jobs or name not in jobs["data"].values["split"]:
        return {}
    return {key: jobs["data"].result(f"{name}.jsonl")}


def command_of(job: Job, out: Path, launch: Path | None) -> list[str]:
    """The arguments of ``spct`` that run the job or go on with it. Recipes are read from beside its directory."""
    where = str(out / job.directory)
    values = placed(job.values, out)
    if job.stage == "data":
        return ["data", "build", f"{where}.yaml", "--out", where]
    if job.stage in ("rft", "samples"):
        return ["train", "rft-data", values.pop("items"), "--out", where, "--resume", *_flags(values)]
    if job.name == CRITIQUES:
        return ["train", "critiques", *values.pop("items"), "--out", where, "--resume", *_flags(values)]
    if job.stage in ("gguf", "export"):
        return ["train", "export", values.pop("model"), "--out", where, *_flags(values)]
    if job.stage == "bench":
        return ["bench", values.pop("name"), "--out", where, "--resume", *_flags(values)]
    launched = [] if launch is None else ["--launch", str(launch)]
    command = ["baseline", job.name.removeprefix("baselines-")] if job.stage == "baselines" else [job.stage]
    return ["train", *command, f"{where}.yaml", "--out", where, "--resume", *launched]


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
