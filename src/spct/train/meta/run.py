"""The meta RM from runs to model: judgments labelled by Eq 10, a classifier of one label, the guided vote it buys.

A directory holds one training, as in every stage: ``stage.json``, ``checkpoint-N``, ``model/`` (what ``--meta
classifier:`` loads), ``report.json``, ``report.md``, and last ``manifest.json``. Needs torch and transformers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from spct.data.output import write_text
from spct.meta.prompt import keep_prompt, load_prompt
from spct.templates import Template
from spct.train.common.arguments import begin, speak
from spct.train.common.binary import BinaryTrainer, EarlyStop, binary_trainer, ended_at, logits_of
from spct.train.common.card import Card
from spct.train.common.classifier import load_classifier, with_adapter
from spct.train.common.course import Course, best_step, log_rows
from spct.train.common.directory import TOKENS, finish_stage, finished_report, stage_facts
from spct.train.common.guarded import last_checkpoint, train_on
from spct.train.common.models import Trainable
from spct.train.common.rating_figures import auc_within, figures, reliability, rounded, sigmoid
from spct.train.common.saving import MODEL, save_trained
from spct.train.common.token_rows import token_rows
from spct.train.meta.curve import curve_lines, guided_curve
from spct.train.meta.data import SCHEMA, MetaSplit, split_runs, write_part
from spct.train.meta.recipe import MetaRecipe
from spct.train.meta.runs import opened_runs
from spct.train.stage import Say

TABLE = "report.md"
PARTS = ("train", "heldout")


def train_meta(recipe: MetaRecipe, out: Path, *, resume: bool = False, say: Say = lambda _: None) -> dict[str, Any]:
    """Train what ``recipe`` says in ``out`` and give the report; does nothing where that is done already.

    Every process of a launch calls this. Raises InputError, TrainingError, RunError, ResumeRefusedError or WeightsError.
    """
    processes = begin(recipe)
    accumulation = recipe.accumulation(processes.num_processes)
    prompt = load_prompt(recipe.template)
    with opened_runs([*recipe.runs, *recipe.heldout_runs]) as runs:
        split = split_runs(recipe, runs)
        facts = meta_facts(recipe, split) | ({} if prompt is None else {"template": prompt.digest})
        if (done := finished_report(out, facts, processes, resume=resume, say=say)) is not None:
            return done
        trainable = load_classifier(recipe.model, recipe.max_tokens, recipe.seed)
        with processes.main_process_first():
            rows, counts = _parts(recipe, split, trainable, prompt, out)
        trainer = _trainer(recipe, trainable, rows, out, accumulation)
        say(_opening(counts, trainer))
        speak(trainer, say)
        train_on(trainer, out, say, evaluate=True)
        report = _report(trainer, recipe, split, rows["heldout"], counts)
    saved = save_trained(
        trainer, recipe.model, out, _card(recipe, report, out), partial(load_classifier, seed=recipe.seed)
    )
    if processes.is_main_process:
        for folder in saved if prompt is not None else ():
            assert prompt is not None
            keep_prompt(prompt, folder)
        write_text(out / TABLE, "\n".join(report_lines(report)) + "\n")
        finish_stage(out, facts, report, [*saved, out / TABLE])
        say(f"{out / MODEL} has the model; use it with --meta classifier:{out / MODEL}")
    return report


def meta_facts(recipe: MetaRecipe, split: MetaSplit) -> dict[str, Any]:
    """What the result depends on; of the runs their judgments and labels, not their files, which ratings change too."""
    return stage_facts("meta", recipe, [], keeps_best=True) | {"judgments": split.digest}


def report_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report as Markdown."""
    heldout = report["heldout"]
    learned = report["train"]["judgments"]
    yield f"{learned:,} judgments learned, {heldout['judgments']:,} of {heldout['queries']:,} queries held out."
    yield from ("", "| | before | after |", "| --- | --- | --- |")
    for name, after in report["figures"].items():
        yield f"| {name} | {_shown(report['before'].get(name))} | {_shown(after)} |"
    yield from ("", "| rated | judgments | mean rating | correct |", "| --- | --- | --- | --- |")
    for row in report["reliability"]:
        bounds = f"{row['from']:.1f} to {row['to']:.1f}"
        yield f"| {bounds} | {row['count']:,} | {row['rating']:.3f} | {row['correct']:.3f} |"
    for found in report["curves"]:
        yield ""
        yield from curve_lines(found)


def _parts(
    recipe: MetaRecipe, split: MetaSplit, trainable: Trainable, prompt: Template | None, out: Path
) -> tuple[dict[str, Dataset], dict[str, dict[str, Any]]]:
    made = {
        name: token_rows(out / TOKENS, name, SCHEMA, partial(write_part, split, name, recipe, trainable, prompt))
        for name in PARTS
    }
    return {name: rows for name, (rows, _) in made.items()}, {name: counts for name, (_, counts) in made.items()}


def _trainer(
    recipe: MetaRecipe, trainable: Trainable, rows: Mapping[str, Dataset], out: Path, accumulation: int
) -> BinaryTrainer:
    stop = EarlyStop("eval_auc", recipe.patience)
    steps = ended_at(last_checkpoint(out), stop) or recipe.steps_for(len(rows["train"]))
    return binary_trainer(
        Course(recipe, with_adapter(trainable, recipe.lora), rows, out, steps, accumulation), stop=stop
    )


def _opening(counts: Mapping[str, Mapping[str, int]], trainer: BinaryTrainer) -> str:
    parts = [f"{row['judgments']:,} judgments ({row['correct']:,} correct) {name}" for name, row in counts.items()]
    return f"{', '.join(parts)}; at most {trainer.args.max_steps:,} steps"


def _report(
    trainer: BinaryTrainer,
    recipe: MetaRecipe,
    split: MetaSplit,
    heldout: Dataset,
    counts: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Data, the log, and how the best checkpoint rates what was held out."""
    logits = logits_of(trainer, heldout)
    labels = np.asarray(heldout["label"], dtype=np.float64)
    groups = list(zip(heldout["run"], heldout["position"], strict=True))
    within, items = auc_within(logits, labels, groups)
    start = next((row for row in trainer.state.log_history if row.get("step") == 0), {})
    return {
        "stage": "meta",
        "model": recipe.model,
        "runs": dict(split.counts),
        **{name: dict(counts[name]) for name in PARTS},
        "steps": trainer.state.global_step,
        "best_step": best_step(trainer),
        "before": {name: start.get(f"eval_{name}") for name in ("auc", "brier", "ece", "accuracy")},
        "figures": rounded(figures(logits, labels) | {"auc_within": within}) | {"auc_within_items": items},
        "reliability": reliability(sigmoid(logits), labels),
        "curves": _curves(split, heldout, sigmoid(logits)) if recipe.curve else [],
        "log": log_rows(trainer),
    }


def _curves(split: MetaSplit, heldout: Dataset, ratings: Any) -> list[dict[str, Any]]:
    by_run: dict[int, dict[int, dict[int, float]]] = {}
    for run, position, index, rating in zip(
        heldout["run"], heldout["position"], heldout["index"], ratings.tolist(), strict=True
    ):
        by_run.setdefault(run, {}).setdefault(position, {})[index] = rating
    curves = []
    for place, of_run in sorted(by_run.items()):
        run = split.runs[place]
        items = {position: item for position, item in run.store.items() if position in of_run}
        named = {items[position].id: rated for position, rated in of_run.items()}
        clusters = {one.item.id: one.cluster for one_place, one in split.part("heldout") if one_place == place}
        curves.append(guided_curve(run, list(items.values()), named, clusters))
    return [found for found in curves if found is not None]


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _card(recipe: MetaRecipe, report: dict[str, Any], out: Path) -> Card:
    settings = recipe.model_dump(
        mode="json", exclude={"model", "out", "runs", "heldout_runs", "report_to", "epochs", "curve", "device", "steps"}
    )
    return Card(
        title="Meta reward model",
        stage="meta-RM",
        base=recipe.model,
        method="Rates one judgment of a generative reward model: how likely it is correct (arXiv 2504.02495, section 4.2). "
        "Trained with spct by binary cross-entropy on sampled judgments, labelled by whether their scores agree with the "
        "ground truth. A guided vote keeps the judgments it rates best.",
        data={name: report[name] for name in PARTS},
        settings={**settings, "steps": report["steps"], "best step": report["best_step"]},
        results={f"held-out {name}": value for name, value in report["figures"].items()},
        kind="text-classification",
        use=f"spct judge items.jsonl --model GRM --meta classifier:{out / MODEL}",
    )
