"""The recipe of ``spct train rl``; its defaults are the paper's (method.md names what the paper leaves open)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from spct.recipe import Strict
from spct.train.common.recipe import TrainingRecipe


class EasyRecipe(Strict):
    """The too-easy filter: items that ``model`` (ENGINE:NAME) gets right in all of ``k`` judgments are left out.

    ``options`` are the engine's (``base_url``, ``threads``, ...).
    """

    model: str = Field(min_length=1)
    k: int = Field(default=3, ge=1, le=64)
    temperature: float = Field(default=0.5, gt=0)
    max_tokens: int = Field(default=1024, ge=1)
    options: dict[str, Any] = Field(default_factory=dict)


class HeldOutRecipe(Strict):
    """Items judged by the live policy at every checkpoint: greedily, and by a vote of ``vote_k`` (1: none).

    The best checkpoint by greedy accuracy is kept and becomes the result. ``items`` judges the first so many only, ``batch``
    rows are decoded at once. ``probe_share`` of the items are judged again with a change that must not raise a score.
    """

    path: Path
    items: int | None = Field(default=None, ge=1)
    vote_k: int = Field(default=8, ge=1, le=64)
    batch: int = Field(default=32, ge=1)
    probe_share: float = Field(default=0, ge=0, le=1)


class RLRecipe(TrainingRecipe):
    """``batch`` counts prompts per step, each rolled out ``group`` times; ``micro_batch`` counts rollouts.

    ``template`` judges items of two or more responses, ``single_template`` (0 or 1) those of one. ``rollouts``: "shared"
    processes a group's prompt once, "generate" is the library's own, "vllm" needs vLLM, ``vllm`` being TRL's options for it
    without their prefix (``mode``, ...). Of each step, the rollouts of ``keep_rollouts`` prompts are kept to be looked at.
    """

    data: Path
    learning_rate: float = Field(default=4e-7, gt=0)
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    batch: int = Field(default=512, ge=1)
    steps: int = Field(default=900, ge=1)
    group: int = Field(default=4, ge=2)
    beta: float = Field(default=0.08, ge=0)
    epsilon: float = Field(default=0.2, gt=0, lt=1)
    temperature: float = Field(default=1.0, gt=0)
    max_new_tokens: int = Field(default=1024, ge=1)
    template: str = "grm"
    single_template: str = "grm-single"
    too_easy: EasyRecipe | None = None
    heldout: HeldOutRecipe | None = None
    rollouts: Literal["shared", "generate", "vllm"] = "shared"
    rollout_batch: int = Field(default=64, ge=1)
    vllm: dict[str, Any] = Field(default_factory=dict)
    log_every: int = Field(default=1, ge=1)
    keep_rollouts: int = Field(default=2, ge=0)

    @model_validator(mode="after")
    def _divisible(self) -> RLRecipe:
        if self.batch * self.group % self.micro_batch:
            raise ValueError(
                f"batch {self.batch} x group {self.group} is {self.batch * self.group} rollouts, and micro_batch "
                f"{self.micro_batch}; expected a multiple of it"
            )
        if self.vllm and self.rollouts != "vllm":
            raise ValueError(f"vllm has options and rollouts is {self.rollouts!r}; expected 'vllm', or no options")
        return self

    @property
    def sequences(self) -> int:
        """Rollouts per step over all processes."""
        return self.batch * self.group
