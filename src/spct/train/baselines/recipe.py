"""Recipes of ``spct train baseline``. The paper names no hyper-parameters of its baselines; these defaults are ours."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from spct.train.common.recipe import TrainingRecipe


class BaselineRecipe(TrainingRecipe):
    """``data`` are items with a best response (a split of spct data build); ``heldout`` are items of which none is learned.

    ``heldout`` is a file, or None for ``heldout_share`` of the queries in ``data``. ``batch`` counts pairs; for pairrm, which
    learns both orders of each, pairs in one order. Held-out pairs are judged every ``save_every`` steps, and the best
    checkpoint is kept. ``on_long`` says what a pair does that does not fit.
    """

    data: Path
    heldout: Path | None = None
    heldout_share: float = Field(default=0.05, gt=0, lt=1)
    learning_rate: float = Field(default=1e-5, gt=0)
    batch: int = Field(default=256, ge=1)
    epochs: float | None = Field(default=None, gt=0)
    on_long: Literal["stop", "drop"] = "stop"

    @model_validator(mode="after")
    def _one_length(self) -> BaselineRecipe:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("steps and epochs are both there; expected one of them")
        return self

    @property
    def inputs(self) -> list[Path]:
        """Every file that is read."""
        return [self.data, *([] if self.heldout is None else [self.heldout])]

    def steps_for(self, pairs: int) -> int:
        """Optimizer steps over so many pairs; one epoch if nothing is said."""
        if self.steps is not None:
            return self.steps
        return max(1, math.ceil(pairs * (self.epochs or 1.0) / self.batch))


class CloudRecipe(BaselineRecipe):
    """``critiques`` are files of spct train critiques, over the items of ``data`` and ``heldout``.

    ``critique_weight`` is lambda: how much the loss on the critiques' words counts beside that on the pairs.
    """

    critiques: tuple[Path, ...] = Field(min_length=1)
    critique_weight: float = Field(default=1.0, gt=0)

    @field_validator("critiques", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return [value] if isinstance(value, (str, Path)) else value

    @property
    def inputs(self) -> list[Path]:
        return [*super().inputs, *self.critiques]


RECIPES: dict[str, type[BaselineRecipe]] = {"scalar": BaselineRecipe, "pairrm": BaselineRecipe, "cloud": CloudRecipe}
