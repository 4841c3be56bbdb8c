"""What llama.cpp calls the parts of a model: hyper-parameters, tensor names, the order of rows in attention.

Written for the llama family in transformers' form (llama, mistral) and for qwen2 and qwen3; whatever of a model llama.cpp
would compute otherwise is a TrainingError before anything is written. Needs the ``gguf`` package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from spct.errors import TrainingError

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Form:
    """``arch`` is llama.cpp's name; ``paired`` if its rotary embedding pairs neighbouring rows of query and key."""

    arch: str
    paired: bool


FORMS: Mapping[str, Form] = {
    "llama": Form("llama", True),
    "mistral": Form("llama", True),
    "qwen2": Form("qwen2", False),
    "qwen3": Form("qwen3", False),
}


class Architecture:
    """A model's configuration as llama.cpp needs it. Raises TrainingError for one that it would not compute alike."""

    def __init__(self, config: Any, name: str) -> None:
        form = FORMS.get(config.model_type)
        if form is None:
            raise TrainingError(
                f"{name} is a {config.model_type} model; GGUF export knows {', '.join(FORMS)}: convert it with llama.cpp's "
                "own converter"
            )
        self.form = form
        self.config = config
        self.heads = int(config.num_attention_heads)
        self.kv_heads = int(config.num_key_value_heads or self.heads)
        self.head_dim = int(getattr(config, "head_dim", None) or config.hidden_size // self.heads)
        _refuse(config, name)
        arch = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == form.arch)
        self._names = gguf.get_tensor_name_map(arch, int(config.num_hidden_layers))

    def write(self, writer: gguf.GGUFWriter) -> None:
        """Put the hyper-parameters into the header."""
        config = self.config
        writer.add_context_length(config.max_position_embeddings)
        writer.add_embedding_length(config.hidden_size)
        writer.add_block_count(config.num_hidden_layers)
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count(self.heads)
        writer.add_head_count_kv(self.kv_heads)
        writer.add_key_length(self.head_dim)
        writer.add_value_length(self.head_dim)
        writer.add_rope_dimension_count(self.head_dim)
        writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_vocab_size(config.vocab_size)

    def name_of(self, name: str) -> str:
        """llama.cpp's name of a weight or bias. Raises TrainingError for one it has no place for."""
        found = self._names.get_name(key=name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise TrainingError(f"the tensor {name} has no place in a {self.form.arch} model of llama.cpp")
        return str(found)

    def arranged(self, name: str, values: Array) -> Array:
        """The tensor with its rows in llama.cpp's order; ``values`` (rows, ...) is of the weight called ``name``."""
        part = name.rsplit(".", 2)[-2]
        if not self.form.paired or part not in ("q_proj", "k_proj"):
            return values
        heads = self.heads if part == "q_proj" else self.kv_heads
        split = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
        return np.ascontiguousarray(split.swapaxes(1, 2).reshape(values.shape))


def _refuse(config: Any, name: str) -> None:
    rope = config.rope_parameters.get("rope_type", "default")
    layers = {kind for kind in getattr(config, "layer_types", None) or () if kind != "full_attention"}
    window = getattr(config, "sliding_window", None)
    reasons = {
        f"scales its rotary embedding ({rope})": rope != "default",
        f"has layers of {', '.join(sorted(layers))}": bool(layers),
        f"attends over a window of {window} tokens": bool(window) and window < config.max_position_embeddings,
        f"has the activation {config.hidden_act}": config.hidden_act != "silu",
        "has biases": bool(getattr(config, "attention_bias", False) or getattr(config, "mlp_bias", False)),
    }
    if found := [reason for reason, holds in reasons.items() if holds]:
        raise TrainingError(
            f"{name} {' and '.join(found)}, which this export does not write; use llama.cpp's converter"
        )
