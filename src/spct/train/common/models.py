"""The model that is trained: found, loaded, given an adapter. Needs torch and transformers.

Failure rule: weights that cannot be loaded are a WeightsError, a model that cannot be trained as asked a TrainingError, a
package that is not there an EngineMissingError.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from spct.errors import EngineMissingError, InputError, TrainingError, WeightsError
from spct.train.common.chat import ChatEncoder
from spct.train.common.recipe import LoraRecipe, TrainingRecipe
from spct.weights import CATALOGUE, resolve


@dataclass(frozen=True, slots=True)
class Trainable:
    """A model in float32 on the CPU, whose trainer moves it, with its tokenizer and its chat format.

    ``context_tokens`` is the longest sequence to train on. ``encoder`` turns conversations into its tokens.
    """

    name: str
    model: Any
    tokenizer: Any
    encoder: ChatEncoder
    context_tokens: int


def load_tokenizer(name: str) -> Any:
    """The tokenizer of a model. Raises WeightsError."""
    source, options = pretrained_source(name)
    return _load(AutoTokenizer, name, source, options)


def load_trainable(name: str, max_tokens: int | None = None) -> Trainable:
    """Load a causal language model to train it, a GGUF file dequantised. Weights are float32 whatever they are stored as.

    Raises WeightsError; TrainingError if it has no chat template, or a smaller context than ``max_tokens``.
    """
    tokenizer = load_tokenizer(name)
    encoder = ChatEncoder(tokenizer, name)
    source, options = pretrained_source(name)
    if "gguf_file" in options:
        options["quantization_config"] = GgufConfig(dequantize=True)
    model = _load(AutoModelForCausalLM, name, source, {**options, "dtype": torch.float32})
    vars(model.config).pop("quantization_config", None)  # it is an ordinary model now, and is saved as one
    return Trainable(name, model, tokenizer, encoder, context_of(model.config, name, max_tokens))


def context_of(config: Any, name: str, max_tokens: int | None) -> int:
    """The longest sequence to train on: ``max_tokens``, or else all that the model can see. Raises TrainingError."""
    limit: int | None = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    if limit is None and max_tokens is None:
        raise TrainingError(f"the model {name} does not say how long its context is; set max_tokens")
    if limit is not None and max_tokens is not None and max_tokens > limit:
        raise TrainingError(f"max_tokens is {max_tokens}, and the model {name} has a context of {limit}; lower it")
    return max_tokens or limit or 0


def lora_config(recipe: LoraRecipe, model: Any) -> Any:
    """The adapter's PEFT configuration. Raises EngineMissingError without PEFT, InputError for targets that ``model`` lacks."""
    if importlib.util.find_spec("peft") is None:
        raise EngineMissingError("LoRA needs PEFT: pip install 'spct[train]', or leave lora out of the recipe")
    from peft import LoraConfig

    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=_targets(recipe, model),
        task_type="CAUSAL_LM",
    )


def _targets(recipe: LoraRecipe, model: Any) -> str | list[str]:
    """As PEFT takes them: all linear layers, names of modules, or a pattern over whole names."""
    asked = recipe.targets
    if asked == "all-linear":
        return asked
    names = [name for name, _ in model.named_modules()]
    if isinstance(asked, str) and not asked.isidentifier():
        if not any(re.fullmatch(asked, name) for name in names):
            raise InputError(f"lora.targets: the pattern {asked!r} is the whole name of no module of the model")
        return asked
    listed = [asked] if isinstance(asked, str) else list(asked)
    for target in listed:
        if not any(f".{name}".endswith(f".{target}") for name in names):
            known = {name.rsplit(".", 1)[-1] for name, part in model.named_modules() if hasattr(part, "in_features")}
            raise InputError(f"lora.targets: the model has no module {target!r}; it has {', '.join(sorted(known))}")
    return listed


def use_bfloat16(recipe: TrainingRecipe) -> bool:
    """Whether arithmetic is in bfloat16 (weights and optimizer stay float32)."""
    if recipe.precision != "auto":
        return recipe.precision == "bfloat16"
    return recipe.device == "auto" and torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def pretrained_source(name: str) -> tuple[str, dict[str, Any]]:
    """What from_pretrained is given: a hub id or a directory, or the directory and the name of a GGUF file."""
    if not (name.endswith(".gguf") or name.startswith("hf:") or name in CATALOGUE):
        path = Path(name).expanduser()
        if name.startswith(("/", ".", "~")) and not path.is_dir():
            raise WeightsError(f"the model {name}: there is no such directory")
        return (str(path) if path.is_dir() else name), {}
    path = resolve(name).path
    return str(path.parent), {"gguf_file": path.name}


def _load(kind: Any, name: str, source: str, options: dict[str, Any]) -> Any:
    try:
        return kind.from_pretrained(source, **options)
    except ImportError as error:
        raise EngineMissingError(f"the model {name} needs a package that is not installed: {error}") from error
    except MemoryError as error:
        raise TrainingError(f"the model {name} does not fit in memory: {error}") from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(
            f"the model {name} cannot be loaded as a causal language model: {one_line(error)}"
        ) from error


def one_line(error: BaseException) -> str:
    """What a library says of an error, as a part of a sentence."""
    return " ".join(str(error).split())[:300]
