"""Supervised fine-tuning on the kept judgments: TRL's trainer, our data order, our checks. Needs torch and TRL.

Examples come in an order of our own making (``token_rows``). Loss: mean over the completions' tokens of a step, whichever
examples they belong to; TRL multiplies by the language model's head at those tokens alone.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl.data_utils import pack_dataset
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from spct.train.common.arguments import begin, common_arguments, speak
from spct.train.common.card import Card
from spct.train.common.directory import TOKENS, finish_stage, finished_report, stage_facts
from spct.train.common.guarded import Guarded, train_on
from spct.train.common.judging_templates import templates_beside
from spct.train.common.models import Trainable, load_trainable, lora_config
from spct.train.common.saving import MODEL, save_trained
from spct.train.common.token_rows import ordered, token_rows
from spct.train.sft.data import SCHEMA, sft_rows
from spct.train.sft.recipe import SftRecipe
from spct.train.stage import Say
from spct.wording import count


class SftTrainer(Guarded, SFTTrainer):
    """TRL's SFT trainer, guarded."""


def run_sft(recipe: SftRecipe, out: Path, *, resume: bool = False, say: Say = lambda _: None) -> dict[str, Any]:
    """Train what ``recipe`` says in ``out`` and give the report; does nothing where that is done already.

    Every process of a launch calls this. Raises InputError, TrainingError, RunError, ResumeRefusedError or WeightsError.
    """
    processes = begin(recipe)
    accumulation = recipe.accumulation(processes.num_processes)
    facts = stage_facts("sft", recipe, recipe.inputs)
    if (done := finished_report(out, facts, processes, resume=resume, say=say)) is not None:
        return done
    trainable = load_trainable(recipe.model, recipe.max_tokens)
    with processes.main_process_first():
        rows, counts = _token_rows(recipe, trainable, out)
    steps = recipe.steps_for(len(rows))
    say(
        f"{counts['trajectories']:,} trajectories, {counts['general']:,} general rows, {count(steps, 'step')} of {recipe.batch:,}"
    )
    trainer = make_trainer(recipe, trainable, rows, out, steps, accumulation)
    speak(trainer, say)
    train_on(trainer, out, say)
    report = {
        "data": counts,
        "steps": steps,
        "epochs": round(steps * recipe.batch / len(rows), 3),
        "log": _log(trainer),
    }
    saved = save_trained(trainer, recipe.model, out, _card(recipe, report))
    if processes.is_main_process:
        finish_stage(out, facts, report, saved)
        say(f"{out / MODEL} has the model")
    return report


def make_trainer(
    recipe: SftRecipe, trainable: Trainable, rows: Dataset, out: Path, steps: int, accumulation: int
) -> SftTrainer:
    """The trainer over ``rows`` of input_ids and labels, for ``steps`` steps of ``recipe.batch`` rows."""
    arguments = SFTConfig(
        **common_arguments(recipe, out, steps, accumulation),
        train_sampling_strategy="sequential",
        max_length=None,
        padding_free=recipe.packing,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    return SftTrainer(
        model=trainable.model,
        args=arguments,
        train_dataset=ordered(rows, steps, recipe.batch, recipe.seed),
        processing_class=trainable.tokenizer,
        peft_config=None if recipe.lora is None else lora_config(recipe.lora, trainable.model),
    )


def _token_rows(recipe: SftRecipe, trainable: Trainable, out: Path) -> tuple[Dataset, dict[str, Any]]:
    """The examples, packed if they are to be, and their counts."""
    make = partial(sft_rows, recipe, trainable.encoder, trainable.context_tokens)
    rows, counts = token_rows(out / TOKENS, "train", SCHEMA, make)
    return pack_dataset(rows, trainable.context_tokens, "bfd") if recipe.packing else rows, counts


def _log(trainer: SftTrainer) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in row.items() if not key.endswith("_per_second")}
        for row in trainer.state.log_history
    ]


def _card(recipe: SftRecipe, report: dict[str, Any]) -> Card:
    last: dict[str, Any] = next((row for row in reversed(report["log"]) if "loss" in row), {})
    settings = recipe.model_dump(mode="json", exclude={"model", "out", "trajectories", "general", "report_to"})
    return Card(
        title="Generative reward model after rejective fine-tuning",
        stage="SFT",
        base=recipe.model,
        method="Fine-tuned on judgments (principles, critique, scores) that agree with the ground truth: stage 1 of SPCT "
        "(arXiv 2504.02495), made with spct. It judges any number of responses to a query and gives each a score.",
        data=report["data"],
        settings={**settings, "steps": report["steps"]},
        results={"last loss": last.get("loss"), "last token accuracy": last.get("mean_token_accuracy")},
        templates=templates_beside(recipe.trajectories),
    )
