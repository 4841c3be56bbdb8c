"""Writes the weights of one GGUF file in another encoding, and changed if need be.

Metadata, tokenizer and chat template stay byte for byte.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from spct.errors import WeightsError
from spct.weights.gguf_header import TENSOR_TYPES, GGUFHeader, Tensor, read_header

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Recoding = Literal["Q8_0", "F16"]
_TYPE_IDS = {name: type_id for type_id, (name, _, _) in TENSOR_TYPES.items()}
_FILE_TYPES = {"F16": 1, "Q8_0": 7}  # llama.cpp's number for "mostly ..." in general.file_type


def recode(
    source: Path, target: Path, encoding: Recoding, changes: Mapping[str, NDArray[np.float32]] = MappingProxyType({})
) -> None:
    """Write ``source`` to ``target`` with its weight matrices in ``encoding``; ``changes`` are added to tensors by name.

    Vectors (norms, biases) stay as they are, and so does an unchanged matrix that is in ``encoding``; Q8_0 falls back
    to F16 where a row is no multiple of 32. ``target`` appears whole or not at all. Needs the ``gguf`` package. Raises
    WeightsError.
    """
    if encoding not in get_args(Recoding):
        raise WeightsError(f"cannot re-encode to {encoding!r}; expected one of {', '.join(get_args(Recoding))}")
    header = read_header(source)
    plan = [_TYPE_IDS[_encoding_of(tensor, encoding)] for tensor in header.tensors]
    scratch = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("wb") as file:
            _write(source, header, plan, _FILE_TYPES[encoding], changes, file)
        scratch.replace(target)
    except OSError as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"cannot write {target}: {error}") from error
    finally:
        with suppress(OSError):  # it is gone on success, and was never there if the folder is none
            scratch.unlink()


def _encoding_of(tensor: Tensor, encoding: Recoding) -> str:
    if tensor.type_id not in TENSOR_TYPES:
        raise WeightsError(f"tensor {tensor.name} has the unknown type {tensor.type_id}; it cannot be re-encoded")
    if len(tensor.shape) < 2 or (tensor.encoding.startswith("I") and not tensor.encoding.startswith("IQ")):
        return tensor.encoding
    return "F16" if encoding == "Q8_0" and tensor.shape[0] % 32 else encoding


def _write(
    source: Path,
    header: GGUFHeader,
    plan: list[int],
    file_type: int,
    changes: Mapping[str, NDArray[np.float32]],
    file: Any,
) -> None:
    import numpy as np

    file.write(_metadata(source, header, file_type))
    offset = 0
    for tensor, type_id in zip(header.tensors, plan, strict=True):
        file.write(_tensor_info(tensor, type_id, offset))
        size = Tensor(tensor.name, tensor.shape, type_id, offset).n_bytes
        offset += size + -size % header.alignment
    file.write(bytes(-file.tell() % header.alignment))
    data = np.memmap(source, dtype=np.uint8, mode="r")
    for tensor, type_id in zip(header.tensors, plan, strict=True):
        start = header.data_start + tensor.offset
        file.write(_recoded(data[start : start + tensor.n_bytes], tensor, type_id, changes.get(tensor.name)))
        file.write(bytes(-file.tell() % header.alignment))
    file.flush()
    os.fsync(file.fileno())


def _metadata(source: Path, header: GGUFHeader, file_type: int) -> bytearray:
    with source.open("rb") as file:
        head = bytearray(file.read(header.metadata_end))
    if (at := header.value_at.get("general.file_type")) is not None:
        struct.pack_into("<I", head, at, file_type)
    return head


def _tensor_info(tensor: Tensor, type_id: int, offset: int) -> bytes:
    name = tensor.name.encode()
    dimensions = len(tensor.shape)
    return struct.pack(f"<Q{len(name)}sI{dimensions}QIQ", len(name), name, dimensions, *tensor.shape, type_id, offset)


def _recoded(data: NDArray[np.uint8], tensor: Tensor, type_id: int, change: NDArray[np.float32] | None) -> memoryview:
    if type_id == tensor.type_id and change is None:
        return data.data
    constants, quants = _codecs()
    values = _values(data, tensor)
    if change is not None:
        values = values + change.reshape(values.shape)
    return cast(memoryview, quants.quantize(values, constants.GGMLQuantizationType(type_id)).data)


def decoded(path: Path, header: GGUFHeader, tensor: Tensor) -> NDArray[np.float32]:
    """A matrix of the file, rows first: the shape in the header, reversed. Raises WeightsError."""
    import numpy as np

    start = header.data_start + tensor.offset
    data = np.memmap(path, dtype=np.uint8, mode="r")[start : start + tensor.n_bytes]
    return _values(data, tensor).reshape(tensor.shape[::-1])


def _values(data: NDArray[np.uint8], tensor: Tensor) -> NDArray[np.float32]:
    """Rows of a tensor's values."""
    constants, quants = _codecs()
    rows = data.reshape(-1, tensor.n_bytes // (tensor.elements // tensor.shape[0]))
    if tensor.encoding in ("F32", "F16", "F64"):
        rows = rows.view({"F32": "<f4", "F16": "<f2", "F64": "<f8"}[tensor.encoding])
        return rows.astype("<f4")
    try:
        return cast("NDArray[np.float32]", quants.dequantize(rows, constants.GGMLQuantizationType(tensor.type_id)))
    except (NotImplementedError, ValueError) as error:
        raise WeightsError(f"tensor {tensor.name}: cannot decode {tensor.encoding}: {error}") from error


def _codecs() -> tuple[Any, Any]:
    try:
        from gguf import constants, quants
    except ImportError:
        raise WeightsError("re-encoding needs the package gguf: pip install gguf") from None
    return constants, quants
