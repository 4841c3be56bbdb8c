"""LoRA adapters in GGUF, the form that llama.cpp reads, and a model with adapters merged into its weights.

Merging is for engines that cannot apply an adapter themselves. A merged model is a file in the cache like a re-encoded
one, made once for the same model, adapters and scales. Failure rule: an adapter that does not fit is a WeightsError.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from spct.errors import InputError, WeightsError
from spct.weights.cache import model_dir, writing
from spct.weights.gguf_header import GGUFHeader, read_header
from spct.weights.recoding import Recoding, decoded, recode
from spct.weights.resolve import ModelFile, resolve

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PARTS = (".lora_a", ".lora_b")


@dataclass(frozen=True, slots=True)
class Lora:
    """An adapter's file and the factor it is applied with, beside its own alpha / rank."""

    path: Path
    scale: float = 1.0

    @classmethod
    def parse(cls, spec: str) -> Lora:
        """``PATH`` or ``PATH=SCALE``. Raises InputError."""
        path, equals, scale = spec.rpartition("=")
        if not equals or Path(spec).exists():
            return cls(Path(spec))
        try:
            return cls(Path(path), float(scale))
        except ValueError:
            raise InputError(f"lora {spec!r}: expected PATH or PATH=SCALE with a number for SCALE") from None

    def __str__(self) -> str:
        return f"{self.path.name}={self.scale:g}"


def read_lora(path: Path, model: GGUFHeader) -> GGUFHeader:
    """The adapter's header. Raises WeightsError unless it is an adapter for models of this architecture."""
    header = read_header(path)
    kind = (header.metadata.get("general.type"), header.metadata.get("adapter.type"))
    if kind != ("adapter", "lora"):
        raise WeightsError(f"{path} is not a LoRA adapter (its type is {kind[0]!r}); expected a GGUF of type adapter")
    made_for, is_for = (h.metadata.get("general.architecture") for h in (header, model))
    if made_for != is_for:
        raise WeightsError(f"the adapter {path} is made for {made_for} models, this one is {is_for}")
    return header


def merged(name: str, loras: Sequence[Lora], encoding: Recoding) -> ModelFile:
    """The model ``name`` with the adapters added to its weights in order, its matrices in ``encoding``.

    A matrix W of shape (out, in) becomes W + scale (alpha / rank) B A, with A of (rank, in) and B of (out, rank), and is
    rounded once, to ``encoding``. Raises WeightsError.
    """
    base = resolve(name)
    headers = [read_lora(lora.path, read_header(base.path)) for lora in loras]
    target = model_dir("merged") / f"{base.path.stem}-{_digest(base.path, loras)}.{encoding}.gguf"
    with writing(target.parent) as scratch:
        if not target.is_file():
            changes = _changes(read_header(base.path), loras, headers)
            recode(base.path, scratch / target.name, encoding, changes)
            (scratch / target.name).replace(target)
    read_header(target)
    return ModelFile(name, target, encoding, base.license, None)


def _digest(base: Path, loras: Sequence[Lora]) -> str:
    parts = []
    for path, scale in [(base, 1.0), *((lora.path, lora.scale) for lora in loras)]:
        stat = path.stat()
        parts.append(f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\0{scale!r}")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _changes(model: GGUFHeader, loras: Sequence[Lora], headers: Sequence[GGUFHeader]) -> dict[str, NDArray[np.float32]]:
    """What is added to each tensor of the model that some adapter changes."""
    shapes = {tensor.name: tensor.shape for tensor in model.tensors}
    changes: dict[str, NDArray[np.float32]] = {}
    for lora, header in zip(loras, headers, strict=True):
        for name, (a, b) in _pairs(lora.path, header).items():
            rank = a.shape[0]
            if name not in shapes or name == "token_embd.weight":
                raise WeightsError(f"the adapter {lora.path} changes {name}, which cannot be merged into this model")
            if (a.shape[1], b.shape[0]) != shapes[name] or b.shape[1] != rank:
                raise WeightsError(
                    f"the adapter {lora.path} has {name} as {b.shape[0]} x {a.shape[1]} of rank {rank} and {b.shape[1]}; "
                    f"the model's is {shapes[name][1]} x {shapes[name][0]}"
                )
            alpha = float(header.metadata.get("adapter.lora.alpha") or rank)
            delta = cast("NDArray[np.float32]", (b @ a) * (lora.scale * alpha / rank))
            changes[name] = changes[name] + delta if name in changes else delta
    return changes


def _pairs(path: Path, header: GGUFHeader) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """The matrices A (rank, in) and B (out, rank) by the name of the tensor that they change."""
    found = {tensor.name: decoded(path, header, tensor) for tensor in header.tensors}
    names = sorted({name.removesuffix(part) for name in found for part in PARTS if name.endswith(part)})
    if odd := [name for name in found if not name.endswith(PARTS)]:
        raise WeightsError(
            f"the adapter {path} holds {odd[0]}, which is no half of a low-rank pair; it cannot be merged"
        )
    if lone := [name for name in names if any(name + part not in found for part in PARTS)]:
        raise WeightsError(f"the adapter {path} holds one half of {lone[0]} only")
    return {name: (found[name + PARTS[0]], found[name + PARTS[1]]) for name in names}
