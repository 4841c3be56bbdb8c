"""Training a classifier of one label on yes and no: binary cross-entropy on the logit, the best held-out AUC kept.

Rows have ``input_ids`` and ``label`` (0 or 1). Needs torch and transformers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from transformers import Trainer, TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME

from spct.data.output import read_json
from spct.errors import TrainingError
from spct.train.common.classifier import padded
from spct.train.common.course import AS_GIVEN, Course
from spct.train.common.guarded import Guarded
from spct.train.common.rating_figures import figures

SCHEMA = pa.schema([("input_ids", pa.list_(pa.int32())), ("label", pa.float32())])


class BinaryTrainer(Guarded, Trainer):
    """The plain trainer, guarded."""


class EarlyStop(TrainerCallback):
    """Stop once ``patience`` evaluations in a row were no better than the best of those after a step; the log is all the
    state there is. The untrained model, whose head is drawn by lot, is no candidate and does not count."""

    def __init__(self, metric: str, patience: int) -> None:
        self._metric = metric
        self._patience = patience

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.is_over(state.log_history):
            control.should_training_stop = True

    def is_over(self, log: Sequence[Mapping[str, Any]]) -> bool:
        """Whether training with this log has come to its end."""
        values = [row[self._metric] for row in log if self._metric in row and row["step"]]
        return bool(values) and len(values) - 1 - values.index(max(values)) >= self._patience


def ended_at(checkpoint: Path | None, stop: EarlyStop) -> int | None:
    """The step at which ``stop`` had ended the training that wrote ``checkpoint``; None where it goes on.

    A run killed between its last checkpoint and its model would train on otherwise: the trainer forgets that it was to stop.
    """
    state = None if checkpoint is None else read_json(checkpoint / TRAINER_STATE_NAME)
    return int(state["global_step"]) if state is not None and stop.is_over(state["log_history"]) else None


def binary_trainer(course: Course, *, stop: EarlyStop | None = None) -> BinaryTrainer:
    """The trainer of a course over rows of ``SCHEMA``."""
    return BinaryTrainer(
        **course.given(),
        args=course.arguments("eval_auc", **AS_GIVEN),
        data_collator=_Collator(course.trainable.tokenizer.pad_token_id),
        compute_loss_func=bce,
        compute_metrics=_metrics,
        preprocess_logits_for_metrics=_first,
        callbacks=[] if stop is None else [stop],
    )


def bce(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
    """Binary cross-entropy, the mean over all rows of an optimizer step (of these rows where that is not known)."""
    logits = outputs["logits"].float().squeeze(-1)
    total = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
    return total / (len(labels) if num_items_in_batch is None else num_items_in_batch)


def logits_of(trainer: BinaryTrainer, rows: Dataset) -> Any:
    """The logit of each row, float64; every process gets all. Raises TrainingError for one that is no number."""
    return finite_logits(trainer.predict(rows).predictions)


class _Collator:
    def __init__(self, pad: int) -> None:
        self._pad = pad

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        batch = padded([row["input_ids"] for row in rows], self._pad)
        return batch | {"labels": torch.tensor([row["label"] for row in rows], dtype=torch.float32)}


def _first(logits: Any, labels: Any) -> Any:
    return logits[0] if isinstance(logits, tuple) else logits


def _metrics(predicted: Any) -> dict[str, float]:
    logits = finite_logits(predicted.predictions)
    return figures(logits, np.asarray(predicted.label_ids, dtype=np.float64).reshape(-1))


def finite_logits(logits: Any) -> Any:
    """The logits as float64, flat. Raises TrainingError for one that is no number."""
    logits = np.asarray(logits, dtype=np.float64).reshape(-1)
    if bad := int((~np.isfinite(logits)).sum()):
        raise TrainingError(
            f"{bad} of {len(logits)} held-out logits are no finite numbers; lower the learning rate and go on from the last "
            "good checkpoint with --resume, or look at the base model"
        )
    return logits
