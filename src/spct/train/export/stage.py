"""The stages ``gguf``, files of the judges by which ``samples`` and ``bench`` then judge, and ``export``, files of the last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spct.train.common.tables import cell
from spct.train.stage import BASE, Command, Planned, Section, Stage, Tables, Upstream
from spct.weights import CATALOGUE

COMMAND = Command(("train", "export"), argument="model", resume=False)
PACKAGES = ("torch", "transformers", "accelerate", "datasets", "gguf")


def _files(upstream: Upstream, section: Section, where: str) -> Iterator[Planned]:
    """A file of each judge, but of the base only where that is none."""
    values = upstream.checked(GGUF.recipe, section, where)
    values = {key: value for key, value in values.items() if key != "engine"}
    for name, model in upstream.models.items():
        if name != BASE or not (model in CATALOGUE or model.endswith(".gguf")):
            yield Planned(
                f"gguf-{name}", {**values, "model": model, "name": name, "encoding": [values["encoding"]]}, COMMAND
            )


def _last(upstream: Upstream) -> Section:
    return {"model": upstream.last}


def _tables(reports: Mapping[str, Any]) -> Tables:
    from spct.bench.report import Table

    rows = []
    for name, row in ((name, row) for report in reports.values() for name, row in report["files"].items()):
        check = row["check"] or {}
        agreed = "-" if not check else f"{100 * check['agreed']:.0f}% of {check['prompts']} ({check['equal']} equal)"
        rows.append([name, f"{row['bytes'] / 1e6:,.1f}", agreed, cell(check.get("largest_gap"))])
    if rows:
        yield "GGUF files", Table(["file", "MB", "greedy texts that agree", "largest gap, nats"], rows).markdown()


GGUF = Stage(
    name="gguf",
    help="Write the judges as GGUF files, by which they then judge.",
    recipe="spct.train.export.recipe:GgufRecipe",
    command=COMMAND,
    packages=PACKAGES,
    jobs=_files,
    results=("*.gguf", "export.json"),
    report="export.json",
    tables=_tables,
)
EXPORT = Stage(
    name="export",
    help="Write the last judge as GGUF files.",
    recipe="spct.train.export.recipe:ExportRecipe",
    command=COMMAND,
    commands={"export": "spct.cli.train.export:export"},
    packages=PACKAGES,
    inputs=_last,
    results=GGUF.results,
    report=GGUF.report,
    tables=_tables,
)
