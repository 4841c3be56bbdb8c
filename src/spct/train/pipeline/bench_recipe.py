"""The keys of the stage ``bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from spct.recipe import OneOrMore, Strict
from spct.train.common.recipe import EngineRecipe


class MeasuredRecipe(Strict):
    """A benchmark by its name in ``spct bench list``, its files, and the part of it that is judged."""

    name: str = Field(min_length=1)
    data: Path
    subset: OneOrMore[str] = ()
    limit: int | None = Field(default=None, ge=1)


class BenchRecipe(EngineRecipe):
    """The options of ``spct bench`` by their names, for all of ``benchmarks``; ``model`` is the model before training.

    ``classifier_option`` are options of the classifiers: the meta RM that guides, and the baselines scalar and PairRM.
    """

    benchmarks: tuple[MeasuredRecipe, ...] = Field(min_length=1)
    k: int | None = Field(default=None, ge=1)
    greedy: bool = True
    principles: str | None = Field(default=None, pattern="^(self|given|query)$")
    retries: int | None = Field(default=None, ge=0)
    block_size: int | None = None
    adaptive: float | None = None
    k_meta: int | None = Field(default=None, ge=1)
    classifier_option: dict[str, Any] = Field(default_factory=dict)
    rule: str | None = Field(default=None, pattern="^(sum|mean|expected)$")
    tie_rule: str | None = Field(default=None, pattern="^(random|first|last)$")
    replicates: int | None = Field(default=None, ge=1)
    plots: bool | None = None
