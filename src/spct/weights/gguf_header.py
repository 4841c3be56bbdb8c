"""Reads the header of a GGUF file (version 2 or 3, little-endian): metadata and where each tensor lies.

Needs nothing but the standard library and takes a fraction of a second, so a file can be checked before an engine is
loaded. Failure rule: anything that is not a whole GGUF file is a WeightsError that says what is wrong with it.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spct.errors import WeightsError

# id: (name, elements per block, bytes per block), as ggml defines them
TENSOR_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
}
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_SPECIAL_TOKEN_TYPES = (2, 3, 4)  # unknown, control, user-defined: the ones a tokenizer cuts out of running text


@dataclass(frozen=True, slots=True)
class Tensor:
    """``shape`` has the fastest-running dimension first, as in the file; ``offset`` counts from the data section."""

    name: str
    shape: tuple[int, ...]
    type_id: int
    offset: int

    @property
    def encoding(self) -> str:
        return TENSOR_TYPES[self.type_id][0] if self.type_id in TENSOR_TYPES else f"type {self.type_id}"

    @property
    def elements(self) -> int:
        count = 1
        for extent in self.shape:
            count *= extent
        return count

    @property
    def n_bytes(self) -> int:
        """Bytes of data; 0 for a type this table does not know."""
        _, block, size = TENSOR_TYPES.get(self.type_id, ("", 1, 0))
        return self.elements // block * size


@dataclass(frozen=True, slots=True)
class GGUFHeader:
    """``metadata_end`` and ``data_start`` are byte positions in the file, ``value_at`` those of metadata values."""

    metadata: dict[str, Any]
    value_at: dict[str, int]
    tensors: tuple[Tensor, ...]
    metadata_end: int
    data_start: int
    alignment: int

    @property
    def encoding(self) -> str:
        """The tensor type that most elements have."""
        count: Counter[str] = Counter()
        for tensor in self.tensors:
            count[tensor.encoding] += tensor.elements
        return count.most_common(1)[0][0] if count else "none"

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Strings that the tokenizer takes for one special token wherever they stand in a text."""
        kinds = self.metadata.get("tokenizer.ggml.token_type")
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        if not (isinstance(kinds, list) and isinstance(tokens, list)):
            return ()
        marked = (token for token, kind in zip(tokens, kinds, strict=False) if kind in _SPECIAL_TOKEN_TYPES)
        return tuple(token for token in marked if token and isinstance(token, str))


class _Cursor:
    """Walks over the bytes of a header; a step past the end is a struct.error."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = 0

    def number(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def string(self) -> str:
        length = self.number("<Q")
        if self.at + length > len(self.data):
            raise struct.error("string runs past the end")
        start, self.at = self.at, self.at + length
        return self.data[start : self.at].decode("utf-8", errors="replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self.array()
        if kind not in _SCALARS:
            raise struct.error(f"metadata type {kind} is unknown")
        return self.number(_SCALARS[kind])

    def array(self) -> list[Any]:
        kind, count = self.number("<I"), self.number("<Q")
        if count > len(self.data):
            raise struct.error("array runs past the end")
        if kind not in _SCALARS:
            return [self.value(kind) for _ in range(count)]
        form = f"<{count}{_SCALARS[kind][1]}"
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return list(values)


def read_header(path: Path) -> GGUFHeader:
    """Read and check the header of a GGUF file. Raises WeightsError if it is missing, cut short or something else."""
    if path.is_dir():
        raise WeightsError(f"{path} is a directory; expected a .gguf file")
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            magic = file.read(4)
            if magic != b"GGUF":
                raise WeightsError(f"{path} is not a GGUF file: it begins with {magic!r}, expected b'GGUF'")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                header = _parse(data)
    except FileNotFoundError:
        raise WeightsError(f"{path} does not exist; expected a .gguf file") from None
    except (struct.error, ValueError, OverflowError, MemoryError, RecursionError) as error:
        raise WeightsError(f"{path} is a damaged GGUF file: its header is cut short or wrong ({error})") from error
    except OSError as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path} cannot be read: {error}") from error
    end = max((header.data_start + t.offset + t.n_bytes for t in header.tensors), default=header.data_start)
    if size < end:
        raise WeightsError(f"{path} is cut short: {size} bytes, its header speaks of {end}; fetch it again")
    return header


def _parse(data: mmap.mmap) -> GGUFHeader:
    cursor = _Cursor(data)
    cursor.at = 4
    if (version := cursor.number("<I")) not in (2, 3):
        raise struct.error(f"version {version}, expected 2 or 3, little-endian")
    tensor_count, metadata_count = cursor.number("<Q"), cursor.number("<Q")
    if max(tensor_count, metadata_count) > len(data):
        raise struct.error("more entries than bytes")
    metadata: dict[str, Any] = {}
    value_at: dict[str, int] = {}
    for _ in range(metadata_count):
        key, kind = cursor.string(), cursor.number("<I")
        value_at[key] = cursor.at
        metadata[key] = cursor.value(kind)
    metadata_end = cursor.at
    tensors = tuple(_tensor(cursor) for _ in range(tensor_count))
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0:
        raise struct.error(f"alignment {alignment!r}")
    data_start = cursor.at + -cursor.at % alignment
    return GGUFHeader(metadata, value_at, tensors, metadata_end, data_start, alignment)


def _tensor(cursor: _Cursor) -> Tensor:
    name, dimensions = cursor.string(), cursor.number("<I")
    if dimensions > 8:
        raise struct.error(f"tensor {name!r} with {dimensions} dimensions")
    shape = tuple(cursor.number("<Q") for _ in range(dimensions))
    return Tensor(name, shape, cursor.number("<I"), cursor.number("<Q"))


def file_encoding(path: Path | str) -> str:
    """The encoding (``Q4_1``, ``Q8_0``, ``F16``, ...) of most weights in a GGUF file. Raises WeightsError."""
    return read_header(Path(path)).encoding
