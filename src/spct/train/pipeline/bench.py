"""The stage ``bench``: every benchmark with the judge before training and after each stage, and with each baseline.

The last judge is also guided by the meta RM. The figures of these jobs are put side by side by ``accuracy``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spct.errors import InputError
from spct.train.baselines import KINDS
from spct.train.baselines.stage import CRITIQUES
from spct.train.stage import BASE, HELDOUT, Command, Planned, Section, Stage, Upstream, filled_in

COMMAND = Command(("bench",), argument="name")
OF_ALL = ("name", "data", "subset", "limit", "seed", "replicates", "plots", "tie_rule", "concurrency")
"""Keys that mean something to every judge."""
OF_CRITICS = (
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
"""Keys that mean something to a judge that writes critiques, besides those."""


def _jobs(upstream: Upstream, section: Section, where: str) -> Iterator[Planned]:
    heldout = upstream.split(HELDOUT)
    models = upstream.judging
    own = [] if heldout is None else [{"name": "items", "data": heldout}]
    given = filled_in({"model": models[BASE], "benchmarks": own or None}, _on_heldout(section, heldout))
    values = upstream.checked("spct.train.pipeline.recipe:BenchRecipe", given, where)
    names = [row["name"] for row in values["benchmarks"]]
    if again := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{where}: benchmarks: {again[0]!r} is there twice; expected each once")
    models[BASE] = values["model"]
    of_classifiers = values.pop("classifier_option")
    guide = upstream.result("meta", "model")
    for row in values.pop("benchmarks"):
        both = {**values, **row}
        for name, model in models.items():
            guided = guide is not None and name == list(models)[-1]
            rating = {"meta": f"classifier:{guide}", "meta_option": of_classifiers} if guided else {}
            yield _planned(name, {**both, "model": model, **rating})
        for kind in KINDS:
            if f"baselines-{kind}" in upstream.jobs:
                yield _planned(kind, _of_baseline(kind, both, of_classifiers, upstream))


def _planned(model: str, values: Section) -> Planned:
    return Planned(f"bench-{values['name']}-{model}".replace(":", "-"), values, COMMAND)


def _on_heldout(section: Section, heldout: str | None) -> Section:
    """The section, with the held-out items as the data of the benchmark ``items`` where it names none."""
    rows = section.get("benchmarks")
    if heldout is None or not isinstance(rows, list):
        return section
    found = [
        {"data": heldout, **row} if isinstance(row, Mapping) and row.get("name") == "items" else row for row in rows
    ]
    return {**section, "benchmarks": found}


def _of_baseline(kind: str, values: Section, of_classifiers: Section, upstream: Upstream) -> dict[str, Any]:
    """The same items by the rival judge; of the section's keys those that mean something to it."""
    job = upstream.jobs[f"baselines-{kind}"]
    head = f"classifier:{job.result('model')}"
    if kind != "cloud":
        own = {key: values[key] for key in OF_ALL}
        return own | {"k": 1, "judge": kind, "model": head, "judge_option": of_classifiers}
    asked = upstream.jobs.get(CRITIQUES)
    critic = {
        "model": f"transformers:{job.result('critic')}",
        "template": None if asked is None else asked.values["template"],
    }
    own = {key: values[key] for key in (*OF_ALL, *OF_CRITICS)}
    return own | critic | {"judge": kind, "judge_option": [f"head={head}"]}


STAGE = Stage(
    name="bench",
    help="Measure the judge before training and after each stage, and the baselines, on benchmarks.",
    recipe="spct.train.pipeline.recipe:BenchRecipe",
    command=COMMAND,
    packages=("numpy",),
    jobs=_jobs,
    results=("results.json",),
    report=None,
)
