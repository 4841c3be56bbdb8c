"""A Bradley-Terry scalar reward model: TRL's RewardTrainer on pairs of conversations. Needs torch and TRL.

Loss -log sigmoid(r(chosen) - r(rejected)). Each conversation is encoded as the judge ``scalar`` encodes it, so the model
scores what it was trained on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from spct.classifiers.torch_model import chat_ids
from spct.errors import InputError, RejectedError, TrainingError
from spct.judges.texts import conversation_of
from spct.train.baselines.pairs import Pairs, Preference
from spct.train.baselines.recipe import BaselineRecipe
from spct.train.common.arguments import common_arguments
from spct.train.common.binary import evaluation
from spct.train.common.classifier import load_classifier, with_adapter
from spct.train.common.guarded import Guarded
from spct.train.common.models import Trainable

IDS = pa.list_(pa.int32())
SCHEMA = pa.schema([("chosen_ids", IDS), ("rejected_ids", IDS)])
METRIC = "eval_accuracy"


class ScalarTrainer(Guarded, RewardTrainer):
    """TRL's reward trainer, guarded."""


def load(name: str, recipe: BaselineRecipe) -> Trainable:
    return load_classifier(name, recipe.max_tokens, recipe.seed)


def rows(
    pairs: Pairs, side: str, trainable: Trainable, recipe: BaselineRecipe, counts: dict[str, int]
) -> Iterator[Mapping[str, Any]]:
    """Token rows of the pairs of one side; ``counts`` takes how many, and those too long. Raises InputError."""
    for one in pairs.comparisons(side):
        encoded = [_encode(one, response, trainable) for response in (one.chosen, one.rejected)]
        if fits(one, max(map(len, encoded)), trainable, recipe, counts):
            yield {"chosen_ids": encoded[0], "rejected_ids": encoded[1]}


def fits(one: Preference, tokens: int, trainable: Trainable, recipe: BaselineRecipe, counts: dict[str, int]) -> bool:
    """Whether a pair fits the context, counted. Raises InputError if it does not and must."""
    if tokens <= trainable.context_tokens:
        counts["pairs"] = counts.get("pairs", 0) + 1
        return True
    if recipe.on_long == "stop":
        raise InputError(
            f"item {one.item.id!r}: {tokens:,} tokens, and the context is {trainable.context_tokens:,}; raise max_tokens if "
            "the model can, or leave such pairs out with on_long: drop"
        )
    counts["too_long"] = counts.get("too_long", 0) + 1
    return False


def trainer(
    recipe: BaselineRecipe,
    trainable: Trainable,
    learned: Dataset,
    heldout: Dataset,
    out: Path,
    steps: int,
    accumulation: int,
) -> ScalarTrainer:
    """The trainer over ``learned``, which is in the order of training."""
    adapted = with_adapter(trainable, recipe.lora)
    return ScalarTrainer(
        model=adapted.model,
        args=RewardConfig(
            **common_arguments(recipe, out, steps, accumulation),
            **evaluation(recipe, METRIC),
            train_sampling_strategy="sequential",
            max_length=None,
            disable_dropout=True,
        ),
        train_dataset=learned,
        eval_dataset=heldout,
        processing_class=adapted.tokenizer,
    )


def _encode(one: Preference, response: int, trainable: Trainable) -> list[int]:
    conversation = conversation_of(one.item, response, trainable.encoder.control_tokens)
    try:
        return chat_ids(trainable.tokenizer, conversation, trainable.name)
    except RejectedError as error:
        raise TrainingError(f"item {one.item.id!r}: {error}; train another base model") from error
