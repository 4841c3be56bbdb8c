"""One course of training with held-out rows: what a trainer is given, and how its best checkpoint is found. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import TrainingArguments

from spct.train.common.arguments import common_arguments, evaluation
from spct.train.common.models import Trainable
from spct.train.common.recipe import TrainingRecipe
from spct.train.common.token_rows import ordered


@dataclass(frozen=True, slots=True)
class Course:
    """``steps`` steps over ``rows["train"]``; ``rows["heldout"]`` are judged every ``recipe.save_every`` of them.

    ``accumulation`` are micro batches of one process per step. Checkpoints are in ``out``.
    """

    recipe: TrainingRecipe
    trainable: Trainable
    rows: Mapping[str, Dataset]
    out: Path
    steps: int
    accumulation: int

    def given(self) -> dict[str, Any]:
        """Keyword arguments of any trainer: the model, the rows, the tokenizer."""
        return {
            "model": self.trainable.model,
            "train_dataset": ordered(self.rows["train"], self.steps, self.recipe.batch, self.recipe.seed),
            "eval_dataset": self.rows["heldout"],
            "processing_class": self.trainable.tokenizer,
        }

    def arguments(self, metric: str, kind: type[TrainingArguments] = TrainingArguments, /, **more: Any) -> Any:
        """The trainer's ``args``, which end with the checkpoint that is best by ``metric``."""
        return kind(
            **common_arguments(self.recipe, self.out, self.steps, self.accumulation),
            **evaluation(self.recipe, metric),
            per_device_eval_batch_size=self.recipe.micro_batch,
            train_sampling_strategy="sequential",
            **more,
        )


AS_GIVEN: dict[str, Any] = {"remove_unused_columns": False, "label_names": ["labels"]}
"""Arguments of the plain trainer for rows whose columns only a collator of ours knows."""


def best_step(trainer: Any) -> int | None:
    """The step of the checkpoint that was kept; None where there was no evaluation."""
    best = trainer.state.best_model_checkpoint
    return int(str(best).rsplit("-", 1)[-1]) if best else None


def log_rows(trainer: Any) -> list[dict[str, Any]]:
    """The trainer's log, without what hangs on the machine."""
    return [
        {key: row[key] for key in row if not key.endswith(("_per_second", "_runtime"))}
        for row in trainer.state.log_history
    ]
