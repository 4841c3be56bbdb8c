"""A pair classifier (Jiang et al., 2023): query, a and b in, a logit out, above 0 where a is better. Needs torch.

A sequence classifier on the base model reads one text, as the judge ``pairrm`` puts it: the marks between its parts are
tokens of their own, so no response can write one. Both orders of every pair are learned, by binary cross-entropy, so that
neither place is favoured. (PairRM's own DeBERTa head can be judged with, not trained: the comparison here is on one base.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spct.classifiers import Pair
from spct.classifiers.pairs import DEFAULT_FORM, SEGMENTS, one_text
from spct.judges.texts import texts_of
from spct.train.baselines.pairs import Pairs, fits
from spct.train.baselines.recipe import BaselineRecipe
from spct.train.common.binary import SCHEMA, BinaryTrainer, binary_trainer
from spct.train.common.classifier import load_classifier, pad_unlike
from spct.train.common.course import Course
from spct.train.common.models import Trainable
from spct.types import Message

METRIC = "eval_auc"
__all__ = ["METRIC", "SCHEMA", "load", "rows", "trainer"]

_PROBE = Pair((Message("user", "Which?"),), "This.", "That.")


def load(name: str, recipe: BaselineRecipe) -> Trainable:
    """The base with a head, and the marks in its vocabulary. Raises as ``load_classifier``."""
    loaded = load_classifier(name, recipe.max_tokens, recipe.seed)
    loaded.tokenizer.add_tokens(list(SEGMENTS), special_tokens=True)
    if len(loaded.tokenizer) > loaded.model.config.vocab_size:
        loaded.model.resize_token_embeddings(len(loaded.tokenizer))
    pad_unlike(loaded.model, loaded.tokenizer, [_ids(loaded.tokenizer, _PROBE)[-1]])
    return loaded


def rows(
    pairs: Pairs, side: str, trainable: Trainable, recipe: BaselineRecipe, counts: dict[str, int]
) -> Iterator[Mapping[str, Any]]:
    """Two token rows for each pair of one side; ``counts`` takes how many. Raises InputError for one too long."""
    special = tuple({*trainable.encoder.control_tokens, *SEGMENTS})
    for one in pairs.comparisons(side):
        query, responses = texts_of(one.item, special)
        chosen, rejected = responses[one.chosen], responses[one.rejected]
        both = [_ids(trainable.tokenizer, Pair(query, *texts)) for texts in ((chosen, rejected), (rejected, chosen))]
        if fits(one, max(map(len, both)), trainable, recipe, counts):
            yield from ({"input_ids": ids, "label": label} for ids, label in zip(both, (1.0, 0.0), strict=True))


def trainer(course: Course) -> BinaryTrainer:
    return binary_trainer(course)


def _ids(tokenizer: Any, pair: Pair) -> list[int]:
    return list(one_text(tokenizer, DEFAULT_FORM, pair)["input_ids"])
