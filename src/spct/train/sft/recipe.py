"""The recipe of ``spct train sft``. Defaults are the paper's: learning rate 5e-6, 1,024 examples a step, 900 steps."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from spct.recipe import OneOrMore, Strict
from spct.train.common.recipe import PassesRecipe

STEPS = 900


class GeneralRecipe(Strict):
    """General instruction data: conversations whose last turn, the assistant's, is learned. ``share`` is of all examples."""

    path: OneOrMore[Path] = Field(min_length=1)
    share: float = Field(gt=0, lt=1)


class SftRecipe(PassesRecipe):
    """``trajectories`` are files of ``spct train rft-data``; ``sampled`` and ``hinted`` say which of them are learned.

    ``balance_places`` learns as many judgments with the best response shown in each place, and drops the others.

    ``packing`` fills sequences of ``max_tokens`` with several examples, which do not see each other; ``batch`` then
    counts packed sequences. With neither ``steps`` nor ``epochs`` it is the paper's 900 steps.
    """

    trajectories: OneOrMore[Path] = Field(min_length=1)
    general: GeneralRecipe | None = None
    sampled: bool = True
    hinted: bool = True
    balance_places: bool = False
    learning_rate: float = Field(default=5e-6, gt=0)
    batch: int = Field(default=1024, ge=1)
    packing: bool = False

    @model_validator(mode="after")
    def _something_to_learn(self) -> SftRecipe:
        if not (self.sampled or self.hinted):
            raise ValueError("sampled and hinted are both false; that leaves no trajectory to learn")
        return self

    @property
    def inputs(self) -> list[Path]:
        """Every file that is read."""
        return [*self.trajectories, *(self.general.path if self.general else ())]

    def steps_for(self, rows: int) -> int:
        return super().steps_for(rows) if self.steps or self.epochs else STEPS
