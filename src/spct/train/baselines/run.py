"""One baseline from recipe to model: items in, pairs, a classifier of one label, the best checkpoint out.

A directory holds one training, as in every stage. Needs torch, transformers and TRL.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset

from spct.errors import InputError
from spct.train.baselines import KINDS
from spct.train.baselines.pairs import SIDES, Pairs, read_pairs
from spct.train.baselines.recipe import BaselineRecipe
from spct.train.common.arguments import begin, speak
from spct.train.common.card import Card
from spct.train.common.classifier import with_adapter
from spct.train.common.course import Course, best_step, log_rows
from spct.train.common.directory import TOKENS, finish_stage, finished_report, stage_facts
from spct.train.common.guarded import train_on
from spct.train.common.models import Trainable
from spct.train.common.saving import MODEL, save_trained
from spct.train.common.token_rows import token_rows
from spct.train.stage import Say
from spct.wording import count


def train_baseline(
    kind: str, recipe: BaselineRecipe, out: Path, *, resume: bool = False, say: Say = lambda _: None
) -> dict[str, Any]:
    """Train the baseline ``kind`` in ``out`` and give the report; does nothing where that is done already.

    Every process of a launch calls this. Raises InputError, TrainingError, RunError, ResumeRefusedError or WeightsError.
    """
    if kind not in KINDS:
        raise InputError(f"baseline {kind!r}: expected one of {', '.join(KINDS)}")
    made: Any = importlib.import_module(KINDS[kind].module)
    if recipe.lora is not None and (reason := KINDS[kind].no_adapter) is not None:
        raise InputError(f"{kind} {reason}; leave lora out")
    processes = begin(recipe)
    accumulation = recipe.accumulation(processes.num_processes)
    facts = stage_facts(f"baseline-{kind}", recipe, recipe.inputs, keeps_best=True)
    pairs = read_pairs(recipe)
    if (done := finished_report(out, facts, processes, resume=resume, say=say)) is not None:
        return done
    trainable = made.load(recipe.model, recipe)
    with processes.main_process_first():
        rows, counts = _rows(made, pairs, trainable, recipe, out)
    steps = recipe.steps_for(len(rows["train"]))
    say(
        f"{count(counts['train']['pairs'], 'pair')} to learn, {counts['heldout']['pairs']:,} held out, {count(steps, 'step')}"
    )
    trainer = made.trainer(Course(recipe, with_adapter(trainable, recipe.lora), rows, out, steps, accumulation))
    speak(trainer, say)
    train_on(trainer, out, say, evaluate=True)
    report = _report(kind, recipe, pairs, counts, trainer, made.METRIC)
    card = _card(kind, recipe, report, out)
    saved = save_trained(trainer, recipe.model, out, card, partial(made.load, recipe=recipe))
    if processes.is_main_process:
        if kind == "cloud":
            saved = made.split(out / MODEL, card)
        finish_stage(out, facts, report, saved)
        say(f"{out / MODEL} has the model; judge with {_judging(kind, out)}")
    return report


def _rows(
    made: Any, pairs: Pairs, trainable: Trainable, recipe: BaselineRecipe, out: Path
) -> tuple[dict[str, Dataset], dict[str, dict[str, Any]]]:
    rows, counts = {}, {}
    for side in SIDES:
        rows[side], counts[side] = token_rows(
            out / TOKENS, side, made.SCHEMA, partial(_make, made, pairs, side, trainable, recipe)
        )
        if not len(rows[side]):
            raise InputError(
                f"{recipe.data}: every pair of {side} is too long; raise max_tokens, or give shorter items"
            )
    return rows, counts


def _make(
    made: Any, pairs: Pairs, side: str, trainable: Trainable, recipe: BaselineRecipe
) -> tuple[Iterator[Mapping[str, Any]], Callable[[], dict[str, int]]]:
    counts = {"pairs": 0, "too_long": 0}
    return made.rows(pairs, side, trainable, recipe, counts), lambda: counts


def _report(
    kind: str, recipe: BaselineRecipe, pairs: Pairs, counts: Mapping[str, Any], trainer: Any, metric: str
) -> dict[str, Any]:
    """Data, the held-out curve, whose first point is the model before training, and the log."""
    history = trainer.state.log_history
    return {
        "stage": "baseline",
        "kind": kind,
        "model": recipe.model,
        "items": pairs.counts,
        **counts,
        "steps": trainer.state.global_step,
        "metric": metric.removeprefix("eval_"),
        "heldout_curve": [{"step": row["step"], "value": round(row[metric], 6)} for row in history if metric in row],
        "best_step": best_step(trainer),
        "best": None if trainer.state.best_metric is None else round(trainer.state.best_metric, 6),
        "log": log_rows(trainer),
    }


def _card(kind: str, recipe: BaselineRecipe, report: Mapping[str, Any], out: Path) -> Card:
    shown = ["learning_rate", "batch", "seed", "max_tokens", *(["critique_weight"] if kind == "cloud" else [])]
    return Card(
        title=KINDS[kind].title,
        stage=f"baseline {kind}",
        base=recipe.model,
        method="A baseline for generative reward models, trained with spct on pairs of the best and another response.",
        data=report["items"] | {"pairs": report["train"]["pairs"]},
        settings={"steps": report["steps"], "best step": report["best_step"]}
        | {name: getattr(recipe, name) for name in shown},
        results={f"held-out {report['metric']}": report["best"]},
        kind="text-classification",
        use=f"spct bench items --data items.jsonl {_judging(kind, out)}",
    )


def _judging(kind: str, out: Path) -> str:
    """The options of spct bench that judge with what is trained in ``out``."""
    if kind == "cloud":
        critic = out / "critic"
        return f"--judge cloud --model transformers:{critic} --judge-option head=classifier:{out / MODEL}"
    return f"--judge {kind} --model classifier:{out / MODEL}"
