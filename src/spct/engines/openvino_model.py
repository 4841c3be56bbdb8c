"""What an OpenVINO engine must know of its model before it loads: the files, the chat template, the sizes.

A model is a GGUF file (llama and qwen families) or a directory with a saved OpenVINO IR. GGUF encodings other than
those measured to give right logits are re-encoded to Q8_0 in the weights cache: OpenVINO GenAI reads Q4_1 without an
error and gets it wrong (KL to f32 0.23, 73% top-1 agreement; Q8_0: 0.004, 97%). The library knows the layers of a model
that it built from GGUF by no names, so it applies no LoRA adapter to one: adapters are merged into a copy of the file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spct import weights
from spct.errors import SpctError, WeightsError
from spct.weights import Lora

RIGHT_ENCODINGS = ("Q8_0", "F16")
KV_BYTES = 2  # the key/value cache is kept in a 16-bit type
KV_BLOCK = 32  # tokens per block of the cache on a CPU


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """``path`` is what the library loads. ``kv_bytes_per_token`` counts keys and values of all layers."""

    path: Path
    context_tokens: int
    kv_bytes_per_token: int
    chat_template: str
    special_tokens: tuple[str, ...]
    note: str | None = None

    def blocks(self, tokens: int) -> int:
        """Cache blocks that hold so many tokens."""
        return -(-tokens // KV_BLOCK)

    def blocks_in(self, gigabytes: float) -> int:
        return int(gigabytes * 1e9 / (self.kv_bytes_per_token * KV_BLOCK))


def read_facts(name: str, loras: Sequence[Lora] = ()) -> ModelFacts:
    """Find the model, re-encode it or merge adapters into it if need be, and read its header. Raises WeightsError."""
    directory = Path(name).expanduser()
    if loras and directory.is_dir():
        raise WeightsError(
            f"{directory}: adapters are merged into GGUF models only; merge {loras[0].path.name} into the model before it "
            "is converted for OpenVINO, or give the model as a .gguf file"
        )
    try:
        return _from_directory(directory) if directory.is_dir() else _from_gguf(name, loras)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, SpctError):
            raise
        raise WeightsError(
            f"{name} does not say what a model must ({type(error).__name__}: {error}); it is damaged, or of another kind"
        ) from error


def _from_gguf(name: str, loras: Sequence[Lora]) -> ModelFacts:
    file = weights.resolve(name)
    note = None
    if loras:
        note = f"{', '.join(map(str, loras))} merged into {name}, which OpenVINO reads as one model"
        file = weights.merged(name, loras, "F16" if file.encoding == "F16" else "Q8_0")
    elif file.encoding not in RIGHT_ENCODINGS:
        note = (
            f"{name} is {file.encoding}, which OpenVINO is not known to read rightly: using a copy re-encoded to Q8_0"
        )
        file = weights.resolve(name, encoding="Q8_0")
    header = weights.read_header(file.path)
    meta = header.metadata
    arch = str(meta.get("general.architecture"))
    if not arch.startswith(("llama", "qwen")):
        raise WeightsError(
            f"{file.path}: OpenVINO reads GGUF of the llama and qwen families, got {arch}; use llamacpp:"
        )
    if not (template := meta.get("tokenizer.chat_template")):
        raise WeightsError(f"{file.path} has no chat template; an instruction-tuned model is needed")
    heads = int(meta[f"{arch}.attention.head_count"])
    kv_heads = int(meta.get(f"{arch}.attention.head_count_kv", heads))
    head_size = int(meta.get(f"{arch}.attention.key_length", int(meta[f"{arch}.embedding_length"]) // heads))
    return ModelFacts(
        path=file.path,
        context_tokens=int(meta[f"{arch}.context_length"]),
        kv_bytes_per_token=2 * KV_BYTES * int(meta[f"{arch}.block_count"]) * kv_heads * head_size,
        chat_template=str(template),
        special_tokens=header.special_tokens,
        note=note,
    )


def _from_directory(path: Path) -> ModelFacts:
    config = _read_json(path / "config.json")
    tokenizer = _read_json(path / "tokenizer_config.json")
    if not (path / "openvino_model.xml").is_file():
        raise WeightsError(f"{path} has no openvino_model.xml; expected a model saved for OpenVINO, or a .gguf file")
    template_file = path / "chat_template.jinja"
    template = template_file.read_text("utf-8") if template_file.is_file() else tokenizer.get("chat_template")
    if not isinstance(template, str):
        raise WeightsError(f"{path} has no chat template; an instruction-tuned model is needed")
    heads = int(config["num_attention_heads"])
    head_size = int(config.get("head_dim") or int(config["hidden_size"]) // heads)
    kv_heads = int(config.get("num_key_value_heads") or heads)
    return ModelFacts(
        path=path,
        context_tokens=int(config["max_position_embeddings"]),
        kv_bytes_per_token=2 * KV_BYTES * int(config["num_hidden_layers"]) * kv_heads * head_size,
        chat_template=template,
        special_tokens=_added_tokens(path, tokenizer),
    )


def _added_tokens(path: Path, config: dict[str, Any]) -> tuple[str, ...]:
    """Strings that the tokenizer cuts out of running text; which of two files lists them depends on who saved it."""
    file = path / "tokenizer.json"
    listed = [
        *config.get("added_tokens_decoder", {}).values(),
        *(_read_json(file).get("added_tokens", []) if file.is_file() else []),
    ]
    if not listed:
        raise WeightsError(
            f"{path} names no control tokens, which responses must not be able to use; expected a tokenizer.json, or "
            "added_tokens_decoder in tokenizer_config.json"
        )
    return tuple(dict.fromkeys(token["content"] for token in listed))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: expected a JSON object")
    return content
