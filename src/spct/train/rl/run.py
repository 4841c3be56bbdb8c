"""Stage 2 from recipe to model: items in, GRPO with the rule-based reward, the best policy out.

A directory holds one training: ``stage.json`` (what it is), ``too_easy/`` (the weak model's judgments), ``checkpoint-N``,
``rollouts/``, ``model/`` (and ``adapter/``), ``report.json``, and last ``manifest.json``. Failure rule: what is wrong with
recipe, items or labels is said before the model is loaded; what goes wrong later leaves the last good checkpoint.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from accelerate import PartialState
from trl.trainer.grpo_config import GRPOConfig

from spct.engines.chat_tokenizer import ChatTokenizer
from spct.engines.transformers import as_loaded
from spct.errors import InputError, TrainingError
from spct.recipe import unknown_key
from spct.train.common.arguments import begin, common_arguments, evaluation
from spct.train.common.card import Card
from spct.train.common.course import best_step
from spct.train.common.directory import finish_stage, finished_report, stage_facts
from spct.train.common.guarded import train_on
from spct.train.common.models import Trainable, load_trainable, lora_config, pretrained_source
from spct.train.common.saving import save_trained
from spct.train.rl.console import Console
from spct.train.rl.heldout import HeldOut
from spct.train.rl.judging import Asking
from spct.train.rl.kept_rollouts import KeptRollouts
from spct.train.rl.probing import drawn_probes
from spct.train.rl.prompts import Schedule, Templates
from spct.train.rl.recipe import HeldOutRecipe, RLRecipe
from spct.train.rl.rollout import RolloutSettings
from spct.train.rl.selection import TrainingItems, read_labelled, training_items
from spct.train.rl.trainer import Policy, RLTrainer, grpo_config
from spct.train.stage import Say
from spct.wording import count

VLLM = "vllm_"


def train_rl(recipe: RLRecipe, out: Path, *, resume: bool = False, say: Say = print) -> dict[str, Any]:
    """Run the stage, or what is left of it, and give its report; every process of a launch must call this.

    Raises InputError, TemplateError, TrainingError, WeightsError, RunError, ResumeRefusedError and EngineError.
    """
    process = begin(recipe)
    templates = Templates(recipe.template, recipe.single_template)
    facts = rl_facts(recipe, templates)
    if (done := finished_report(out, facts, process, resume=resume, say=say)) is not None:
        return done
    heldout = None if recipe.heldout is None else _heldout(recipe, recipe.heldout, templates)
    with process.main_process_first():
        items = training_items(recipe, templates, out, say if process.is_main_process else _silent)
    loaded = load_trainable(recipe.model, recipe.max_tokens)
    items = items.fitting(loaded.encoder, loaded.context_tokens - recipe.max_new_tokens, recipe, say)
    say(
        f"{count(len(items.kept), 'item')}, {count(recipe.steps, 'step')} of {recipe.batch:,} prompts x {recipe.group} rollouts"
    )
    trainer = make_trainer(recipe, out, loaded, items, heldout, say=say, processes=process.num_processes)
    train_on(trainer, out, say, evaluate=heldout is not None)
    return _finish(trainer, recipe, out, facts, items)


def rl_facts(recipe: RLRecipe, templates: Templates) -> dict[str, Any]:
    """What the result depends on: the recipe, the templates, the model's files and the items."""
    inputs = [recipe.data, *([recipe.heldout.path] if recipe.heldout else [])]
    facts = stage_facts("rl", recipe, inputs, keeps_best=recipe.heldout is not None)
    return facts | {"templates": templates.digests()}


def make_trainer(
    recipe: RLRecipe,
    out: Path,
    loaded: Trainable,
    items: TrainingItems,
    heldout: HeldOut | None,
    *,
    say: Say = print,
    processes: int = 1,
) -> RLTrainer:
    """The trainer, ready to train."""
    special = loaded.encoder.control_tokens
    schedule = Schedule(items.kept, items.templates, seed=recipe.seed, special_tokens=special)
    policy = _policy(loaded)
    _name_reference(loaded, recipe, out)
    return RLTrainer(
        policy,
        make_arguments(recipe, out, processes, evaluate=heldout is not None),
        schedule,
        visits=recipe.steps * recipe.batch,
        rollouts=_rollouts(recipe, policy.eos),
        heldout=heldout,
        kept=KeptRollouts(out, recipe.keep_rollouts)
        if recipe.keep_rollouts and PartialState().is_main_process
        else None,
        peft_config=None if recipe.lora is None else lora_config(recipe.lora, loaded.model),
        callbacks=[Console(say)],
    )


def make_arguments(recipe: RLRecipe, out: Path, processes: int, *, evaluate: bool) -> Any:
    """TRL's configuration of the stage. Raises InputError or TrainingError for what cannot be."""
    at_once = recipe.micro_batch * processes
    if recipe.sequences % at_once:
        raise InputError(
            f"a step has {recipe.sequences} rollouts, which {processes} processes with micro_batch {recipe.micro_batch} "
            f"cannot share; expected a multiple of {at_once}"
        )
    options = common_arguments(recipe, out, recipe.steps, recipe.sequences // at_once)
    options |= {
        "num_generations": recipe.group,
        "beta": recipe.beta,
        "epsilon": recipe.epsilon,
        "temperature": recipe.temperature,
        "max_completion_length": recipe.max_new_tokens,
    }
    if evaluate:
        options |= {**evaluation(recipe, "eval_accuracy"), "num_generations_eval": 1}
    if recipe.rollouts == "vllm":
        options |= {"use_vllm": True, **_vllm_options(recipe)}
    try:
        return grpo_config(**options)
    except ValueError as error:
        raise TrainingError(f"TRL refuses these settings: {' '.join(str(error).split())}") from error


def _vllm_options(recipe: RLRecipe) -> dict[str, Any]:
    """TRL's options, by their names there. Raises InputError for one that it does not know."""
    known = [field.name.removeprefix(VLLM) for field in fields(GRPOConfig) if field.name.startswith(VLLM)]
    for name in recipe.vllm:
        if name not in known:
            raise InputError(unknown_key(f"vllm.{name}", name, known))
    return {f"{VLLM}{name}": value for name, value in recipe.vllm.items()}


def _rollouts(recipe: RLRecipe, eos: frozenset[int]) -> RolloutSettings | None:
    if recipe.rollouts != "shared":
        return None
    return RolloutSettings(recipe.temperature, recipe.max_new_tokens, recipe.rollout_batch, eos)


def _heldout(recipe: RLRecipe, given: HeldOutRecipe, templates: Templates) -> HeldOut:
    items = read_labelled(given.path, templates, given.items)
    probes = drawn_probes(items, given.probe_share, recipe.seed)
    greedy = Asking(recipe.template, recipe.single_template, 1, 0.0, recipe.max_new_tokens, recipe.seed)
    return HeldOut(items, probes, greedy, given.vote_k, given.batch)


def _policy(loaded: Trainable) -> Policy:
    chat = ChatTokenizer(loaded.tokenizer, loaded.name)
    return Policy(loaded.model, loaded.tokenizer, chat, as_loaded(loaded.model, chat).eos)


def _name_reference(loaded: Trainable, recipe: RLRecipe, out: Path) -> None:
    """TRL loads the reference policy by the model's name; weights from a GGUF file get a directory to have one."""
    if recipe.beta == 0 or recipe.lora is not None or "gguf_file" not in pretrained_source(recipe.model)[1]:
        return
    base = out / "base"
    with PartialState().main_process_first():
        if not (base / "config.json").is_file():
            loaded.model.save_pretrained(base)
    loaded.model.config._name_or_path = str(base)


def _finish(
    trainer: RLTrainer, recipe: RLRecipe, out: Path, facts: dict[str, Any], items: TrainingItems
) -> dict[str, Any]:
    report = _report(trainer, recipe, items)
    paths = save_trained(trainer, recipe.model, out, _card(recipe, report, items))
    if trainer.args.should_save:
        finish_stage(out, facts, report, paths)
    trainer.accelerator.wait_for_everyone()
    return report


def _report(trainer: RLTrainer, recipe: RLRecipe, items: TrainingItems) -> dict[str, Any]:
    """Items, the figures of every log, and the held-out curve, whose first point is the model before training."""
    history = trainer.state.log_history
    curve = [row for row in history if "eval_accuracy" in row]
    return {
        "stage": "rl",
        "model": recipe.model,
        "items": items.counts(),
        "steps": trainer.state.global_step,
        "heldout": curve,
        "best_step": best_step(trainer),
        "best_accuracy": trainer.state.best_metric,
        "train": [row for row in history if "accuracy" in row],
    }


def _card(recipe: RLRecipe, report: dict[str, Any], items: TrainingItems) -> Card:
    curve = report["heldout"]
    results = {}
    if curve:
        results = {"held-out accuracy before": curve[0]["eval_accuracy"], "of this checkpoint": report["best_accuracy"]}
    shown = ("learning_rate", "batch", "group", "beta", "epsilon", "temperature", "max_new_tokens", "seed")
    return Card(
        title="Generative reward model after rule-based RL",
        stage="RL",
        base=recipe.model,
        method="SPCT stage 2 (arXiv 2504.02495): GRPO with a reward of +1 for a correct judgment (no tie) and -1 for any other.",
        data=report["items"],
        settings={"steps": report["steps"], "best step": report["best_step"]}
        | {name: getattr(recipe, name) for name in shown},
        results=results,
        templates=items.templates.used(items.kept),
    )


def _silent(_: str) -> None:
    """Other processes than the main one say nothing."""
