"""The stages ``rft``, judgments to learn from, and ``samples``, those of the trained judge that the meta RM learns too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from spct.train.stage import TRAIN, Command, Section, Stage, Tables, Upstream


def _base(upstream: Upstream) -> Section:
    return {"model": f"transformers:{upstream.model}", "items": upstream.split(TRAIN)}


def _last(upstream: Upstream) -> Section:
    """Nothing learns from trajectories of these: their run is what is wanted, with every judgment in it."""
    model = list(upstream.judging.values())[-1]
    return {"model": model, "hinted": False, "rejection": False, "items": upstream.split(TRAIN)}


def _tables(title: str) -> Callable[[Mapping[str, Any]], Tables]:
    def tables(reports: Mapping[str, Any]) -> Tables:
        from spct.train.rft.run import report_lines

        for report in reports.values():
            yield title, report_lines(report)

    return tables


RFT = Stage(
    name="rft",
    help="Sample judgments of the items to learn from, and keep those worth learning.",
    recipe="spct.train.rft.recipe:SamplingRecipe",
    command=Command(("train", "rft-data"), argument="items"),
    commands={"rft-data": "spct.cli.train.rft:rft_data"},
    inputs=_base,
    results=("trajectories.jsonl", "report.json"),
    tables=_tables("Rejective sampling"),
)
SAMPLES = replace(
    RFT,
    name="samples",
    help="Sample judgments of the trained judge, for the meta RM.",
    commands={},
    inputs=_last,
    results=("report.json",),
    tables=_tables("Judgments of the trained model"),
)
