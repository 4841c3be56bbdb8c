"""Writes a trained model, or its LoRA adapter, as a GGUF file. Needs torch, transformers and the ``gguf`` package.

Matrices are F16 or Q8_0 (F16 where a row is no multiple of 32), vectors F32. A file appears whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from spct.data.output import written_whole
from spct.errors import TrainingError, WeightsError
from spct.train.common.models import Trainable
from spct.train.export.form import Architecture, Array
from spct.train.export.tokenizer import write_tokenizer

Encoding = Literal["F16", "Q8_0"]
ENCODINGS: tuple[Encoding, ...] = ("F16", "Q8_0")
_FILE_TYPES = {"F16": gguf.LlamaFileType.MOSTLY_F16, "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
_PREFIX = "base_model.model."
ADAPTER_WEIGHTS, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"


def write_gguf(trainable: Trainable, target: Path, encoding: Encoding) -> None:
    """Write the model to ``target``. Raises TrainingError for one that llama.cpp would not compute alike, RunError."""
    architecture = Architecture(trainable.model.config, trainable.name)
    writer = gguf.GGUFWriter(None, architecture.form.arch)
    writer.add_type("model")
    writer.add_name(Path(trainable.name).name)
    writer.add_file_type(_FILE_TYPES[encoding])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    architecture.write(writer)
    write_tokenizer(writer, trainable.tokenizer, int(trainable.model.config.vocab_size), trainable.name)
    _write(writer, _model_tensors(trainable.model, architecture, encoding), target)


def write_lora_gguf(adapter: Path, base: Any, target: Path) -> None:
    """Write the PEFT adapter in ``adapter``, made for a model with the configuration ``base``, to ``target`` in F16.

    Raises WeightsError for what is no adapter, TrainingError for one that does more than add low-rank matrices.
    """
    config = _adapter_config(adapter)
    architecture = Architecture(base, str(adapter))
    writer = gguf.GGUFWriter(None, architecture.form.arch)
    writer.add_type("adapter")
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    rank, alpha = float(config["r"]), float(config["lora_alpha"])
    # llama.cpp scales by alpha / rank
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha * rank**0.5 if config.get("use_rslora") else alpha)
    _write(writer, _lora_tensors(adapter, architecture), target)


def _model_tensors(model: Any, architecture: Architecture, encoding: Encoding) -> Iterator[tuple[str, Array, Any]]:
    tied = model.config.tie_word_embeddings
    for name, weight in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        values = architecture.arranged(name, weight.detach().float().cpu().numpy())
        yield architecture.name_of(name), *_encoded(values, encoding)


def _lora_tensors(adapter: Path, architecture: Architecture) -> Iterator[tuple[str, Array, Any]]:
    """A maps down and keeps its columns; B maps up, so its rows are the layer's."""
    try:
        found = load_file(adapter / ADAPTER_WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{adapter / ADAPTER_WEIGHTS}: cannot be read: {error}") from error
    for name in sorted(found):
        layer, _, kind = name.removeprefix(_PREFIX).removesuffix(".weight").rpartition(".lora_")
        if kind not in ("A", "B"):
            raise TrainingError(
                f"{adapter}: {name} is more than a low-rank matrix of a linear layer; export the merged model instead"
            )
        values = found[name].astype(np.float32)
        values = architecture.arranged(f"{layer}.weight", values) if kind == "B" else values
        yield f"{architecture.name_of(f'{layer}.weight')}.lora_{kind.lower()}", *_encoded(values, "F16")


def _adapter_config(adapter: Path) -> Mapping[str, Any]:
    try:
        config: dict[str, Any] = json.loads((adapter / ADAPTER_CONFIG).read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{adapter}: got no adapter of PEFT ({error}); expected {ADAPTER_CONFIG}") from error
    beyond = [name for name in ("use_dora", "modules_to_save", "rank_pattern", "alpha_pattern") if config.get(name)]
    if config.get("peft_type") != "LORA" or beyond:
        raise TrainingError(
            f"{adapter} is a {config.get('peft_type')} adapter{' with ' + ', '.join(beyond) if beyond else ''}; llama.cpp "
            "loads plain LoRA: export the merged model instead"
        )
    return config


def _encoded(values: Array, encoding: Encoding) -> tuple[Array, Any]:
    kind = gguf.GGMLQuantizationType
    if values.ndim < 2:
        return values.astype(np.float32), kind.F32
    if encoding == "Q8_0" and values.shape[-1] % 32 == 0:
        return gguf.quants.quantize(values, kind.Q8_0), kind.Q8_0
    return values.astype(np.float16), kind.F16


def _write(writer: gguf.GGUFWriter, tensors: Iterable[tuple[str, Array, Any]], target: Path) -> None:
    with written_whole(target) as partial:
        for name, values, kind in tensors:
            writer.add_tensor(name, values, raw_dtype=kind)
        writer.write_header_to_file(partial)
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
