"""A Bradley-Terry scalar reward model: TRL's RewardTrainer on pairs of conversations. Needs torch and TRL.

Loss -log sigmoid(r(chosen) - r(rejected)). Each conversation is encoded as the judge ``scalar`` encodes it, so the model
scores what it was trained on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from spct.classifiers.torch_model import chat_ids
from spct.judges.texts import conversation_of
from spct.train.baselines.pairs import Pairs, Preference, fits, roles_taken
from spct.train.baselines.recipe import BaselineRecipe
from spct.train.common.classifier import load_classifier
from spct.train.common.course import Course
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


def trainer(course: Course) -> ScalarTrainer:
    args = course.arguments(METRIC, RewardConfig, max_length=None, disable_dropout=True)
    return ScalarTrainer(**course.given(), args=args)


def _encode(one: Preference, response: int, trainable: Trainable) -> list[int]:
    encoder = trainable.encoder
    conversation = conversation_of(one.item, response, encoder.control_tokens, tool_turns=encoder.takes_tools)
    with roles_taken(one.item):
        return chat_ids(trainable.tokenizer, conversation, trainable.name)
