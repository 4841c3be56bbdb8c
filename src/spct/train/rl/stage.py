"""The stage ``rl``: GRPO with the rule-based reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spct.train.common.tables import log_lines
from spct.train.stage import TRAIN, TRAINING, Section, Stage, Tables, Upstream

CURVES = {
    "train": ("step", "accuracy", "invalid", "tied", "kl", "entropy", "completions/mean_length"),
    "heldout": ("step", "eval_accuracy", "eval_accuracy/invalid", "eval_accuracy/tied"),
}


def _inputs(upstream: Upstream) -> Section:
    chosen_by = upstream.choosing
    return {
        "model": upstream.last,
        "data": upstream.split(TRAIN),
        "heldout": None if chosen_by is None else {"path": chosen_by},
    }


def _tables(reports: Mapping[str, Any]) -> Tables:
    for report in reports.values():
        for name, columns in CURVES.items():
            yield f"RL: {name}", log_lines(report[name], columns)


STAGE = Stage(
    name="rl",
    help="Train the judge further by rule-based RL, and keep the best checkpoint.",
    recipe="spct.train.rl.recipe:RLRecipe",
    run="spct.train.rl.run:train_rl",
    commands={"rl": "spct.cli.train.rl:rl"},
    packages=(*TRAINING, "trl"),
    inputs=_inputs,
    trains_judge=True,
    keeps_best=True,
    results=("model", "report.json"),
    tables=_tables,
)
