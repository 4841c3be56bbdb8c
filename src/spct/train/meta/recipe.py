"""The recipe of ``spct train meta``. Learning rate 1e-5 and 512 judgments a step are the paper's; it names no epochs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from spct.train.common.recipe import TrainingRecipe

EPOCHS = 3.0


class MetaRecipe(TrainingRecipe):
    """``runs`` are run directories with the judgments to learn from: those of ``spct train rft-data`` (its --out, of which
    the hinted ones are left out) and any of the GRM that the meta RM will guide.

    ``heldout`` is the share of queries set aside for early stopping and the report; ``heldout_runs`` are set aside whole, in
    place of it, and what is asked in them is not learned. Every ``save_every`` steps the held-out judgments are rated and a
    checkpoint is written; training ends after ``patience`` such times without a better AUC, or after ``epochs`` (or
    ``steps``). ``on_long`` says what a judgment does that does not fit the context. ``curve`` says whether the report
    has the guided-voting curve.
    """

    runs: tuple[Path, ...] = Field(min_length=1)
    heldout: float = Field(default=0.1, gt=0, lt=1)
    heldout_runs: tuple[Path, ...] = ()
    learning_rate: float = Field(default=1e-5, gt=0)
    batch: int = Field(default=512, ge=1)
    epochs: float | None = Field(default=None, gt=0)
    patience: int = Field(default=3, ge=1)
    on_long: Literal["stop", "drop"] = "stop"
    curve: bool = True

    @field_validator("runs", "heldout_runs", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return [value] if isinstance(value, (str, Path)) else value

    @model_validator(mode="after")
    def _one_length(self) -> MetaRecipe:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("steps and epochs are both there; expected one of them")
        return self

    def steps_for(self, judgments: int) -> int:
        """Most optimizer steps over so many judgments."""
        if self.steps is not None:
            return self.steps
        return max(1, math.ceil(judgments * (self.epochs or EPOCHS) / self.batch))
