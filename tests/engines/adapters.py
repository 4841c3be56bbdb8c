"""Writes LoRA adapters for the catalogue model, with the gguf package rather than with our own code."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from spct import weights


def own_cache(folder: Path, model: str = "smollm2-135m") -> Path:
    """A cache that holds the model where it lies already, for what is made of it to go with the test."""
    models = folder / "cache" / "models"
    models.mkdir(parents=True)
    (models / model).symlink_to(weights.resolve(model, fetch=False).path.parent)
    return folder / "cache"


def write_lora(path: Path, scale: float, architecture: str = "llama", kind: str = "adapter", width: int = 576) -> Path:
    """A rank-2 adapter of the first blocks' query projections, random times ``scale``."""
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(kind)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 2.0)
    for block in range(8):
        for half, shape in (("a", (2, width)), ("b", (width, 2))):
            data = (scale * random.normal(size=shape)).astype(np.float32)
            writer.add_tensor(f"blk.{block}.attn_q.weight.lora_{half}", data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
