"""The stage ``baselines``: a job for each kind that its section names, and one for the critiques that CLoud learns from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from spct.errors import InputError
from spct.train.baselines import KINDS
from spct.train.common.tables import cell
from spct.train.stage import BY_RECIPE, TRAIN, TRAINING, Command, Planned, Section, Stage, Tables, Upstream, filled_in

CRITIQUES = "baselines-critiques"


def _jobs(upstream: Upstream, section: Section, where: str) -> Iterator[Planned]:
    """Each kind on the same items and base; before CLoud the critiques, unless the section names files of them."""
    from spct.recipe import unknown_key

    for kind in section:
        if kind not in KINDS:
            raise InputError(f"{where}: {unknown_key(kind, kind, list(KINDS))}")
    for kind in [kind for kind in KINDS if kind in section]:
        own, here = section[kind], f"{where}.{kind}"
        if not isinstance(own, Mapping):
            raise InputError(f"{here}: got {own!r}; write {kind}: {{}} for its defaults, or leave it out")
        given = {"model": upstream.model, "data": upstream.split(TRAIN), "heldout": upstream.choosing}
        values = filled_in(given, own)
        if kind == "cloud" and isinstance(asked := values.get("critiques", {}), Mapping):
            yield _critiques(upstream, values, asked, f"{here}.critiques")
            values["critiques"] = upstream.result(CRITIQUES, "critiques.jsonl")
        command = replace(BY_RECIPE, words=("train", "baseline", kind))
        yield Planned(f"baselines-{kind}", upstream.checked(KINDS[kind].recipe, values, here), command)


def _critiques(upstream: Upstream, values: Section, asked: Section, where: str) -> Planned:
    files = [values[key] for key in ("data", "heldout") if values.get(key) is not None]
    given = {"model": f"transformers:{values['model']}", "items": files}
    checked = upstream.checked("spct.train.baselines.recipe:CritiquesRecipe", filled_in(given, asked), where)
    return Planned(CRITIQUES, checked, Command(("train", "critiques"), argument="items"))


def _tables(reports: Mapping[str, Any]) -> Tables:
    """What each learned, and its own held-out figure before training and at the checkpoint that was kept."""
    from spct.bench.report import Table

    found = {kind: reports[f"baselines-{kind}"] for kind in KINDS if f"baselines-{kind}" in reports}
    rows = [
        [
            kind,
            cell(report["train"]["pairs"]),
            cell(report["steps"]),
            report["metric"],
            cell(report["heldout_curve"][0]["value"]),
            cell(report["best"]),
        ]
        for kind, report in found.items()
    ]
    if rows:
        yield "Baselines", Table(["baseline", "pairs", "steps", "held out", "before", "after"], rows).markdown()


STAGE = Stage(
    name="baselines",
    help="Train what the judge is compared with: scalar, PairRM and CLoud models, on the same items.",
    recipe="spct.train.baselines.recipe:BaselineRecipe",
    run="spct.train.baselines.run:train_baseline",
    commands={
        "critiques": "spct.cli.train.critiques:critiques",
        "baseline": "spct.cli.train.baseline:baseline",
    },
    packages=(*TRAINING, "trl"),
    jobs=_jobs,
    keeps_best=True,
    results=("model", "critic", "critiques.jsonl", "report.json"),
    tables=_tables,
)
