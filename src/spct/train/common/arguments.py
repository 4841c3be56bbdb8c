"""What every trainer is told alike: a recipe as keyword arguments of transformers' TrainingArguments. Needs transformers."""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path
from typing import Any

from accelerate import PartialState
from datasets import disable_progress_bars
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState
from transformers.utils import logging

from spct.train.common.models import use_bfloat16
from spct.train.common.packages import check_keys
from spct.train.common.recipe import TrainingRecipe
from spct.train.stage import Say

SHOWN = ("loss", "reward", "kl", "entropy", "mean_token_accuracy", "grad_norm", "learning_rate")


def begin(recipe: TrainingRecipe) -> PartialState:
    """What every stage does first; gives the processes of its launch. Raises EngineMissingError."""
    quiet()
    check_keys(recipe.model_dump())
    return PartialState(cpu=recipe.device == "cpu")


def common_arguments(recipe: TrainingRecipe, out: Path, steps: int, accumulation: int) -> dict[str, Any]:
    """Arguments for ``steps`` optimizer steps with checkpoints in ``out``. The optimizer is AdamW."""
    cpu, several = recipe.device == "cpu", int(os.environ.get("WORLD_SIZE", "1")) > 1
    return {
        "output_dir": str(out),
        "max_steps": steps,
        "per_device_train_batch_size": recipe.micro_batch,
        "gradient_accumulation_steps": accumulation,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.schedule,
        "warmup_steps": math.ceil(recipe.warmup * steps),
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "bf16": use_bfloat16(recipe),
        "use_cpu": cpu,
        "ddp_backend": "gloo" if cpu and several else None,
        "activation_checkpointing": recipe.gradient_checkpointing,
        "save_strategy": "steps",
        "save_steps": recipe.save_every,
        "save_total_limit": recipe.keep,
        "logging_steps": recipe.log_every,
        "logging_nan_inf_filter": False,  # it would hide what ``Guarded`` stops at
        "report_to": list(recipe.report_to) or "none",
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "disable_tqdm": True,
    }


def evaluation(recipe: TrainingRecipe, metric: str) -> dict[str, Any]:
    """Arguments: evaluate when a checkpoint is written, end with the best one by ``metric``."""
    return {
        "eval_strategy": "steps",
        "eval_steps": recipe.save_every,
        "load_best_model_at_end": True,
        "metric_for_best_model": metric,
        "greater_is_better": True,
    }


class Lines(TrainerCallback):
    """One line per log of the main process."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def on_log(
        self, args: Any, state: TrainerState, control: TrainerControl, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        shown = [f"{name} {float(logs[name]):.4g}" for name in SHOWN if logs and name in logs]
        if shown and state.is_world_process_zero:
            self._say(f"step {state.global_step:,} of {state.max_steps:,}: {', '.join(shown)}")


def quiet() -> None:
    """No progress bars and no advice to developers from the libraries: the screen is not theirs."""
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    warnings.filterwarnings("ignore", message="Could not find a config file", module="peft")
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    disable_progress_bars()


def speak(trainer: Any, say: Say) -> None:
    """Let ``trainer`` report by lines, and not by the dictionaries it prints otherwise."""
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Lines(say))
