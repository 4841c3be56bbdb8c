"""What the recipes of the training stages have in common; a stage derives its own from one of these."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from spct.errors import InputError
from spct.recipe import Strict


class LoraRecipe(Strict):
    """A LoRA adapter in place of full fine-tuning. ``targets`` are module names, or all linear layers but the head."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: str | tuple[str, ...] = "all-linear"


class StageRecipe(Strict):
    """What every stage has: where it writes, and the seed of all that is random in it."""

    out: Path | None = None
    seed: int = Field(default=0, ge=0)


class TrainingRecipe(StageRecipe):
    """What every stage that trains has. ``batch`` counts what one optimizer step sees over all processes.

    ``model`` is a hub id, a directory, a ``.gguf`` path, ``hf:OWNER/REPO/FILE.gguf`` or a name of the catalogue.
    ``micro_batch`` is what one process has in memory at once. ``max_tokens`` is the longest sequence, the model's context
    if None. ``precision`` "auto" is bfloat16 on a GPU that has it, else float32. ``warmup`` is a share of the steps.
    ``keep`` is the number of checkpoints left on disk. ``on_long`` says what an example that does not fit does.
    """

    model: str = Field(min_length=1)
    learning_rate: float = Field(gt=0)
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    warmup: float = Field(default=0.03, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    batch: int = Field(ge=1)
    micro_batch: int = Field(default=1, ge=1)
    steps: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=8)
    on_long: Literal["stop", "drop"] = "stop"
    lora: LoraRecipe | None = None
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    device: Literal["auto", "cpu"] = "auto"
    gradient_checkpointing: bool = False
    save_every: int = Field(default=100, ge=1)
    keep: int = Field(default=2, ge=1)
    log_every: int = Field(default=10, ge=1)
    report_to: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()

    @model_validator(mode="after")
    def _divisible(self) -> TrainingRecipe:
        if self.batch % self.micro_batch:
            raise ValueError(f"batch is {self.batch} and micro_batch {self.micro_batch}; expected a multiple of it")
        return self

    def accumulation(self, processes: int) -> int:
        """Micro batches of one process per optimizer step. Raises InputError where ``batch`` cannot be shared out."""
        at_once = self.micro_batch * processes
        if self.batch % at_once:
            raise InputError(
                f"batch is {self.batch}, which {processes} processes with micro_batch {self.micro_batch} cannot share; "
                f"expected a multiple of {at_once}"
            )
        return self.batch // at_once


class PassesRecipe(TrainingRecipe):
    """A training whose length is given in ``steps``, or in ``epochs`` over its rows; with neither, ``EPOCHS`` of them."""

    EPOCHS: ClassVar[float] = 1.0

    epochs: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one_length(self) -> PassesRecipe:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("steps and epochs are both there; expected one of them")
        return self

    def steps_for(self, rows: int) -> int:
        """Optimizer steps over so many rows."""
        if self.steps is not None:
            return self.steps
        return max(1, math.ceil(rows * (self.epochs or self.EPOCHS) / self.batch))


class EngineRecipe(Strict):
    """What reaches the engine that judges; None is the command's default. ``model`` is ENGINE:NAME."""

    model: str = Field(min_length=1)
    base_url: str | None = None
    concurrency: int | None = Field(default=None, ge=1)
    timeout_s: float | None = Field(default=None, gt=0)
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    context_tokens: int | None = None
    threads: int | None = None
    lora: tuple[str, ...] = ()
    param: dict[str, Any] = Field(default_factory=dict)
    engine_option: dict[str, Any] = Field(default_factory=dict)
    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0)
    template: str | None = None
    ordering: str | None = Field(default=None, pattern="^(balanced|random|fixed)$")
    grammar: bool | None = None
