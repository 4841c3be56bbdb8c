"""A model with one number for a head: loaded from a chat model, given padding that hides nothing, saved. Needs torch.

The meta RM, Bradley-Terry, CLoud's head and PairRM on a decoder are all ``AutoModelForSequenceClassification`` with one
label. Failure rule: as in ``models``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, GgufConfig, set_seed
from transformers.utils import logging

from spct.classifiers.torch_model import chat_ids
from spct.errors import EngineMissingError, TrainingError, WeightsError
from spct.train.common.chat import ChatEncoder
from spct.train.common.models import Trainable, context_of, load_tokenizer, lora_config, one_line, pretrained_source
from spct.train.common.recipe import LoraRecipe
from spct.types import Message

HEAD = "score"
_PROBE = (Message("user", "Thirty-three white horses."), Message("assistant", "Teeth."))


def load_classifier(name: str, max_tokens: int | None = None, seed: int = 0) -> Trainable:
    """Load a chat model with a head of one label, drawn by ``seed`` unless the checkpoint has one. Weights are float32.

    Raises WeightsError; TrainingError if it has no chat template, a smaller context than ``max_tokens``, or a head of
    several labels.
    """
    tokenizer = load_tokenizer(name)
    encoder = ChatEncoder(tokenizer, name)
    source, options = pretrained_source(name)
    if "gguf_file" in options:
        options["quantization_config"] = GgufConfig(dequantize=True)
    set_seed(seed)  # the head is drawn while loading
    model = _load(name, source, options)
    vars(model.config).pop("quantization_config", None)
    if getattr(model, HEAD, None) is None or model.config.num_labels != 1:
        raise TrainingError(f"the model {name} has no head of one label in transformers' form; train from another base")
    pad_unlike(model, tokenizer, [chat_ids(tokenizer, _PROBE, name)[-1]])
    return Trainable(name, model, tokenizer, encoder, context_of(model.config, name, max_tokens))


def pad_unlike(model: Any, tokenizer: Any, last: Iterable[int]) -> None:
    """Pad with a token that no text ends with (``last``): these models read the last token that is not the padding."""
    ends = set(last)
    candidates = [tokenizer.pad_token_id, tokenizer.unk_token_id, *tokenizer.all_special_ids, *range(len(tokenizer))]
    pad = next(token for token in candidates if token is not None and token not in ends)
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(pad)
    model.config.get_text_config(decoder=True).pad_token_id = model.config.pad_token_id = pad


def padded(rows: Sequence[Sequence[int]], pad: int) -> dict[str, torch.Tensor]:
    """Token rows as a batch, padded on the right."""
    longest = max(map(len, rows))
    return {
        "input_ids": torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows]),
        "attention_mask": torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows]),
    }


def head_lora(recipe: LoraRecipe, model: Any) -> Any:
    """The adapter's PEFT configuration, with the head trained whole beside it. Raises as ``lora_config``."""
    config = lora_config(recipe, model)
    config.task_type = "SEQ_CLS"
    config.modules_to_save = [HEAD]
    return config


def with_adapter(trainable: Trainable, recipe: LoraRecipe | None) -> Trainable:
    """The model inside a new adapter, if there is to be one."""
    if recipe is None:
        return trainable
    config = head_lora(recipe, trainable.model)
    from peft import get_peft_model

    return replace(trainable, model=get_peft_model(trainable.model, config))


def adapter_of(path: Path) -> bool:
    """Whether a directory holds an adapter and not a whole model."""
    return (path / "adapter_config.json").is_file()


@contextlib.contextmanager
def other_head() -> Iterator[None]:
    """While a model is loaded with another head than its file has: transformers warns of that, and here it is meant."""
    log: Any = logging
    before = log.get_verbosity()
    log.set_verbosity_error()
    try:
        yield
    finally:
        log.set_verbosity(before)


@other_head()
def _load(name: str, source: str, options: dict[str, Any]) -> Any:
    try:
        return AutoModelForSequenceClassification.from_pretrained(source, num_labels=1, dtype=torch.float32, **options)
    except ImportError as error:
        raise EngineMissingError(f"the model {name} needs a package that is not installed: {error}") from error
    except MemoryError as error:
        raise TrainingError(f"the model {name} does not fit in memory: {error}") from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(f"the model {name} cannot be loaded as a sequence classifier: {one_line(error)}") from error
