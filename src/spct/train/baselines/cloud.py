"""CLoud (Ankner et al., 2024, arXiv 2408.11791): one body, a language model's head that criticises and a head that scores.

Loss of a pair: -log sigmoid(r(y+, c+) - r(y-, c-)) + lambda (L(c+) + L(c-)) / 2, r the score after reading query, response
and critique, L the mean log loss over a critique's tokens under the prompt that asks for it. Both are put as the judge
``cloud`` puts them, in two texts; the source has one. Critiques are given (``critiques``), the model's own or another's.
Needs torch and transformers.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, Trainer

from spct.classifiers.torch_model import chat_ids
from spct.errors import InputError, TrainingError
from spct.items import fingerprint
from spct.judges.critiques import head_reads
from spct.meta.cases import without_control_tokens
from spct.train.baselines.critiques import Critique, read_critiques
from spct.train.baselines.pairs import Pairs, Preference, fits, roles_taken
from spct.train.baselines.recipe import CloudRecipe
from spct.train.common.binary import finite_logits
from spct.train.common.card import Card, card_text
from spct.train.common.chat import IGNORED, Example
from spct.train.common.classifier import HEAD, load_classifier, other_head, padded
from spct.train.common.course import AS_GIVEN, Course
from spct.train.common.guarded import Guarded
from spct.train.common.models import Trainable, load_trainable
from spct.train.common.saving import save_directory
from spct.types import Item, Message

IDS = pa.list_(pa.int32())
TEXTS = ("chosen_ids", "rejected_ids", "chosen_critique", "rejected_critique")
PROMPTS = ("chosen_prompt", "rejected_prompt")
SCHEMA = pa.schema([(name, IDS) for name in TEXTS] + [(name, pa.int32()) for name in PROMPTS])
METRIC = "eval_accuracy"
CRITIC = "critic"
SCALED = ("final_logit_softcapping", "logits_scaling", "logit_scale", "lm_head_multiplier")
"""Keys of configurations that say the logits are more than the head's product."""


class TwoHeads:
    """What a causal language model with a ``score`` computes of a batch of B pairs; mixed into the model's own class.

    Rows of ``input_ids`` (4B, T): what the head reads of the chosen, of the rejected, then the critics' texts of the chosen
    and of the rejected; ``targets`` (4B, T) are the critiques' tokens, IGNORED elsewhere.
    """

    accepts_loss_kwargs = False
    critique_weight = 1.0

    def forward(
        self: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, targets: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        body = getattr(self, self.base_model_prefix)
        states = body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        pairs = len(input_ids) // 4
        last = attention_mask[: 2 * pairs].sum(-1) - 1
        scores = self.score(states[torch.arange(2 * pairs, device=last.device), last]).float().squeeze(-1)
        margin = scores[:pairs] - scores[pairs:]
        critique = self._critique_losses(states[2 * pairs :], targets[2 * pairs :]).view(2, pairs).mean(0)
        losses = -torch.nn.functional.logsigmoid(margin) + self.critique_weight * critique
        return {"loss": losses.mean(), "margin": margin, "critique_loss": critique}

    def _critique_losses(self: Any, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean log loss over each row's targets (R)."""
        states, targets = states[:, :-1], targets[:, 1:]
        kept = targets != IGNORED
        logits = self.get_output_embeddings()(states[kept]).float()
        losses = torch.zeros(targets.shape, device=logits.device)
        losses[kept] = torch.nn.functional.cross_entropy(logits, targets[kept], reduction="none")
        return losses.sum(-1) / kept.sum(-1)


class CloudTrainer(Guarded, Trainer):
    """The plain trainer, guarded; a pair is one example."""

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        outputs = model(**{name: value for name, value in inputs.items() if name != "labels"})
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]


def load(name: str, recipe: CloudRecipe) -> Trainable:
    """The base as a language model, with a head drawn as the scalar baseline's. Raises as ``load_classifier``."""
    headed = load_classifier(name, recipe.max_tokens, recipe.seed)
    trainable = load_trainable(name, recipe.max_tokens)
    model = trainable.model
    if scaled := [key for key in SCALED if getattr(model.config, key, None) not in (None, 1)]:
        raise TrainingError(f"{name} changes its logits by {', '.join(scaled)}, which CLoud is not trained with here")
    model.add_module(HEAD, getattr(headed.model, HEAD))
    model.config.pad_token_id = headed.model.config.pad_token_id
    kind = type(model)
    model.__class__ = type(kind.__name__, (TwoHeads, kind), {"critique_weight": recipe.critique_weight})
    return Trainable(name, model, headed.tokenizer, headed.encoder, trainable.context_tokens)


def rows(
    pairs: Pairs, side: str, trainable: Trainable, recipe: CloudRecipe, counts: dict[str, int]
) -> Iterator[Mapping[str, Any]]:
    """Token rows of the pairs of one side: the i-th critique of the one response against the i-th of the other.

    Pairs of which a response has no critique are left out and counted. Raises InputError for one too long.
    """
    critiques = read_critiques(recipe.critiques)
    counts["without_critique"] = 0
    for one in pairs.comparisons(side):
        both = [critiques.get((fingerprint(one.item), response), []) for response in (one.chosen, one.rejected)]
        counts["without_critique"] += not all(both)
        for critiqued in zip(*both, strict=False):
            row = _row(one, critiqued, trainable)
            if fits(one, max(len(row[name]) for name in TEXTS), trainable, recipe, counts):
                yield row
    if counts["without_critique"] and not counts["pairs"]:
        raise InputError(
            f"no pair of {side} has a critique of both responses in {', '.join(map(str, recipe.critiques))}; expected what "
            f"spct train critiques writes for the items of {recipe.data}"
        )


def trainer(course: Course) -> CloudTrainer:
    return CloudTrainer(
        **course.given(),
        args=course.arguments(METRIC, **AS_GIVEN),
        data_collator=_Collator(course.trainable.tokenizer.pad_token_id),
        compute_metrics=_metrics,
    )


def split(saved: Path, card: Card) -> list[Path]:
    """Of a saved model with both heads make two that anything loads: the critic beside it, and in its place the scorer."""
    critic = saved.with_name(CRITIC)
    for kind, options, target, use in (
        (AutoModelForCausalLM, {}, critic, "text-generation"),
        (AutoModelForSequenceClassification, {"num_labels": 1}, saved, card.kind),
    ):
        with other_head():
            model = kind.from_pretrained(saved, dtype="auto", **options)
        with save_directory(target) as partial:
            shutil.copytree(saved, partial, ignore=shutil.ignore_patterns("*.safetensors*", "config.json"))
            model.save_pretrained(partial)
            (partial / "README.md").write_text(card_text(replace(card, kind=use)))
    return [saved, critic]


class _Collator:
    def __init__(self, pad: int) -> None:
        self._pad = pad

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """``labels`` come first and are one a pair: by them batches are counted."""
        batch = padded([row[name] for name in TEXTS for row in rows], self._pad)
        targets = torch.full_like(batch["input_ids"], IGNORED)
        places = [(row[name], row[prompt]) for name, prompt in zip(TEXTS[2:], PROMPTS, strict=True) for row in rows]
        for place, (ids, prompt) in enumerate(places, 2 * len(rows)):
            targets[place, prompt : len(ids)] = torch.tensor(ids[prompt:])
        return {"labels": torch.ones(len(rows)), **batch, "targets": targets}


def _row(one: Preference, critiqued: Sequence[Critique], trainable: Trainable) -> dict[str, Any]:
    responses = (one.chosen, one.rejected)
    read = [_head_ids(one.item, r, c, trainable) for r, c in zip(responses, critiqued, strict=True)]
    said = [_critic_example(one.item, critique, trainable) for critique in critiqued]
    ids = [*read, *[example.input_ids for example in said]]
    return dict(zip(TEXTS, ids, strict=True)) | dict(
        zip(PROMPTS, [example.prompt_tokens for example in said], strict=True)
    )


def _head_ids(item: Item, response: int, critique: Critique, trainable: Trainable) -> list[int]:
    conversation = head_reads(item, response, critique.text, trainable.encoder.control_tokens)
    with roles_taken(item):
        return chat_ids(trainable.tokenizer, conversation, trainable.name)


def _critic_example(item: Item, critique: Critique, trainable: Trainable) -> Example:
    special = trainable.encoder.control_tokens
    prompt = [Message(turn.role, without_control_tokens(turn.content, special)) for turn in critique.messages]
    with roles_taken(item):
        return trainable.encoder.example(prompt, without_control_tokens(critique.text, special))


def _metrics(predicted: Any) -> dict[str, float]:
    margin, critique = (finite_logits(values) for values in predicted.predictions)
    return {"accuracy": float((margin > 0).mean()), "critique_loss": float(critique.mean())}
