"""The recipe of ``spct train sft``. Defaults are the paper's: learning rate 5e-6, 1,024 examples a step, 900 steps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from spct.train.common.recipe import Strict, TrainingRecipe

STEPS = 900


class GeneralRecipe(Strict):
    """General instruction data: conversations whose last turn, the assistant's, is learned. ``share`` is of all examples."""

    path: tuple[Path, ...] = Field(min_length=1)
    share: float = Field(gt=0, lt=1)

    @field_validator("path", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return [value] if isinstance(value, (str, Path)) else value


class SftRecipe(TrainingRecipe):
    """``trajectories`` are files of ``spct train rft-data``; ``sampled`` and ``hinted`` say which of them are learned.

    ``balance_places`` learns as many judgments with the best response shown in each place, and drops the others.

    ``packing`` fills sequences of ``max_tokens`` with several examples, which do not see each other; ``batch`` then
    counts packed sequences. ``on_long`` says what an example longer than ``max_tokens`` does. ``steps`` or ``epochs``; with
    neither, the paper's 900 steps.
    """

    trajectories: tuple[Path, ...] = Field(min_length=1)
    general: GeneralRecipe | None = None
    sampled: bool = True
    hinted: bool = True
    balance_places: bool = False
    learning_rate: float = Field(default=5e-6, gt=0)
    batch: int = Field(default=1024, ge=1)
    epochs: float | None = Field(default=None, gt=0)
    packing: bool = False
    on_long: Literal["stop", "drop"] = "stop"

    @field_validator("trajectories", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return [value] if isinstance(value, (str, Path)) else value

    @model_validator(mode="after")
    def _consistent(self) -> SftRecipe:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("steps and epochs are both there; expected one of them")
        if not (self.sampled or self.hinted):
            raise ValueError("sampled and hinted are both false; that leaves no trajectory to learn")
        return self

    @property
    def inputs(self) -> list[Path]:
        """Every file that is read."""
        return [*self.trajectories, *(self.general.path if self.general else ())]

    def steps_for(self, examples: int) -> int:
        """Optimizer steps over ``examples`` (packed) sequences."""
        if self.epochs is None:
            return self.steps or STEPS
        return max(1, math.ceil(examples * self.epochs / self.batch))
