"""The stage ``sft``: supervised fine-tuning on the kept judgments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spct.train.common.tables import log_lines
from spct.train.stage import TRAINING, Section, Stage, Tables, Upstream


def _inputs(upstream: Upstream) -> Section:
    return {"model": upstream.model, "trajectories": upstream.result("rft", "trajectories.jsonl")}


def _tables(reports: Mapping[str, Any]) -> Tables:
    columns = ("step", "loss", "mean_token_accuracy", "grad_norm")
    for report in reports.values():
        yield "SFT: log", log_lines(report["log"], columns)


STAGE = Stage(
    name="sft",
    help="Fine-tune the model on the trajectories of rft.",
    recipe="spct.train.sft.recipe:SftRecipe",
    run="spct.train.sft.run:run_sft",
    commands={"sft": "spct.cli.train.sft:sft"},
    packages=(*TRAINING, "trl"),
    inputs=_inputs,
    trains_judge=True,
    results=("model", "report.json"),
    tables=_tables,
)
