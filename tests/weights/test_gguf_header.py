from __future__ import annotations

import re
import struct
from pathlib import Path

import gguf
import pytest

from spct.errors import WeightsError
from spct.weights import ModelFile, file_encoding, read_header
from spct.weights.gguf_header import TENSOR_TYPES
from weights.tiny_gguf import write_tiny


def test_reads_what_the_gguf_package_wrote(tmp_path: Path) -> None:
    header = read_header(write_tiny(tmp_path / "tiny.gguf", rows=16))
    assert header.metadata["tokenizer.chat_template"] == "{{ messages }} é"
    assert header.metadata["test.flags"] == [True, False]
    assert [(t.name, t.shape, t.encoding, t.n_bytes) for t in header.tensors] == [
        ("weight", (64, 16), "Q4_1", 640),
        ("embedding", (64, 16), "Q8_0", 1088),
        ("odd", (7, 2), "F32", 56),
        ("norm", (64,), "F32", 256),
    ]
    assert header.special_tokens == ("<unk>", "<|end|>", "<tool>")


def test_type_table_agrees_with_ggml() -> None:
    for type_id, (name, block, size) in TENSOR_TYPES.items():
        kind = gguf.GGMLQuantizationType(type_id)
        assert (kind.name, gguf.GGML_QUANT_SIZES[kind]) == (name, (block, size))


@pytest.mark.parametrize("encoding", ["Q4_0", "Q5_1", "Q8_0", "F16"])
def test_encoding_is_that_of_most_elements(tmp_path: Path, encoding: str) -> None:
    assert file_encoding(write_tiny(tmp_path / "tiny.gguf", encoding)) == encoding


def test_real_model(smollm2: ModelFile) -> None:
    header = read_header(smollm2.path)
    assert (header.encoding, len(header.tensors)) == ("Q4_1", 272)
    assert {"<|im_start|>", "<|im_end|>", "<|endoftext|>"} < set(header.special_tokens)


def test_truncated_anywhere_is_refused(tmp_path: Path) -> None:
    whole = write_tiny(tmp_path / "tiny.gguf").read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in [*range(4, len(whole) - 31, 37), len(whole) - 32]:
        cut.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match="cut short"):
            read_header(cut)


def test_what_is_no_gguf_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "page.gguf"
    text.write_text("<html>sign in</html>")
    empty = tmp_path / "empty.gguf"
    empty.touch()
    old = tmp_path / "old.gguf"
    old.write_bytes(b"GGUF" + (9).to_bytes(4, "little") + bytes(64))
    for path, message in [
        (text, "is not a GGUF file: it begins with b'<htm'"),
        (empty, "is not a GGUF file: it begins with b''"),
        (old, "damaged GGUF file: .*version 9, expected 2 or 3"),
        (tmp_path, "is a directory; expected a .gguf file"),
        (tmp_path / "none.gguf", "does not exist"),
    ]:
        with pytest.raises(WeightsError, match=message) as caught:
            read_header(path)
        assert re.match(re.escape(str(path)), str(caught.value))


def test_random_damage_never_escapes_as_another_error(tmp_path: Path) -> None:
    whole = write_tiny(tmp_path / "tiny.gguf").read_bytes()
    damaged = tmp_path / "damaged.gguf"
    for at in range(4, 400, 3):
        damaged.write_bytes(whole[:at] + b"\xff\xff\xff" + whole[at + 3 :])
        try:
            read_header(damaged)
        except WeightsError:
            continue


def gguf_text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def with_value(path: Path, key: str, kind: int, value: bytes) -> Path:
    path.write_bytes(
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + gguf_text(key) + struct.pack("<I", kind) + value + bytes(64)
    )
    return path


def test_arrays_within_arrays_are_read_or_refused(tmp_path: Path) -> None:
    inner = struct.pack("<IQI", 4, 1, 7)
    header = read_header(with_value(tmp_path / "a.gguf", "x", 9, struct.pack("<IQ", 9, 1) + inner))
    assert header.metadata == {"x": [[7]]}
    for depth in (2000, 100_000):
        with pytest.raises(WeightsError, match="damaged GGUF file"):
            read_header(with_value(tmp_path / "deep.gguf", "x", 9, struct.pack("<IQ", 9, 1) * depth + inner))


@pytest.mark.parametrize("key", ["tokenizer.ggml.tokens", "tokenizer.ggml.token_type"])
def test_a_vocabulary_of_another_kind_has_no_special_tokens(tmp_path: Path, key: str) -> None:
    for kind, value in (
        (4, struct.pack("<I", 3)),
        (8, gguf_text("x")),
        (9, struct.pack("<IQ", 9, 1) + struct.pack("<IQ", 4, 0)),
    ):
        assert read_header(with_value(tmp_path / "a.gguf", key, kind, value)).special_tokens == ()
