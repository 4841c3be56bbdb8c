from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from spct.errors import InputError, WeightsError
from spct.weights import Lora, merged, read_header
from weights.tiny_gguf import metadata, values, write_tiny

Pair = tuple[np.ndarray, np.ndarray]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPCT_CACHE", str(tmp_path / "cache"))


def write_adapter(
    path: Path, pairs: dict[str, Pair], alpha: float = 4.0, arch: str = "llama", **more: np.ndarray
) -> Path:
    writer = gguf.GGUFWriter(path, arch)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for name, (a, b) in pairs.items():
        writer.add_tensor(f"{name}.lora_a", a.astype(np.float32))
        writer.add_tensor(f"{name}.lora_b", b.astype(np.float16))
    for name, data in more.items():
        writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def pair(out: int, into: int, rank: int, seed: int = 0) -> Pair:
    random = np.random.default_rng(seed)
    return random.normal(size=(rank, into)), random.normal(size=(out, rank)).astype(np.float16)


def test_a_matrix_gains_scale_alpha_over_rank_b_a(tmp_path: Path) -> None:
    base = write_tiny(tmp_path / "base.gguf", "F16")
    a, b = pair(4, 64, 2)
    one = write_adapter(tmp_path / "one.gguf", {"weight": (a, b)})
    c, d = pair(4, 64, 1, seed=1)
    two = write_adapter(tmp_path / "two.gguf", {"weight": (c, d), "embedding": (c, d)}, alpha=0.0)
    made = merged(str(base), [Lora(one, 0.5), Lora(two)], "F16")
    before, after = values(base), values(made.path)
    np.testing.assert_allclose(after["weight"], before["weight"] + 0.5 * 4 / 2 * b @ a + d @ c, atol=0.01)
    np.testing.assert_allclose(after["embedding"], before["embedding"] + d @ c, atol=0.01)  # alpha 0: the factor is 1
    assert np.array_equal(after["norm"], before["norm"])
    old, new = metadata(base), metadata(made.path)
    assert {key for key in old if old[key] != new[key]} == {"general.file_type"}


def test_rounding_is_that_of_the_encoding(tmp_path: Path) -> None:
    base = write_tiny(tmp_path / "base.gguf", "Q4_1")
    lora = write_adapter(tmp_path / "lora.gguf", {"weight": pair(4, 64, 2)})
    made = merged(str(base), [Lora(lora)], "Q8_0")
    wanted = values(base)["weight"] + 2 * pair(4, 64, 2)[1] @ pair(4, 64, 2)[0]
    assert {t.encoding for t in read_header(made.path).tensors if t.name == "weight"} == {"Q8_0"}
    assert np.abs(values(made.path)["weight"] - wanted).max() <= 0.005 * np.abs(wanted).max()


def test_made_once_for_the_same_files_and_scale(tmp_path: Path) -> None:
    base = write_tiny(tmp_path / "base.gguf")
    lora = write_adapter(tmp_path / "lora.gguf", {"weight": pair(4, 64, 2)})
    first = merged(str(base), [Lora(lora)], "Q8_0").path
    made_at = first.stat().st_mtime_ns
    assert merged(str(base), [Lora(lora)], "Q8_0").path == first
    assert first.stat().st_mtime_ns == made_at
    assert merged(str(base), [Lora(lora, 0.5)], "Q8_0").path != first
    write_adapter(lora, {"weight": pair(4, 64, 2, seed=9)})
    assert merged(str(base), [Lora(lora)], "Q8_0").path != first


@pytest.mark.parametrize(
    ("pairs", "more", "message"),
    [
        ({"other": pair(4, 64, 2)}, {}, "changes other, which cannot be merged"),
        ({"weight": pair(5, 64, 2)}, {}, "weight as 5 x 64 of rank 2 and 2; the model's is 4 x 64"),
        ({"weight": pair(4, 32, 2)}, {}, "weight as 4 x 32"),
        ({}, {"weight.lora_a": np.ones((2, 64), np.float32)}, "one half of weight only"),
        ({}, {"weight": np.ones((4, 64), np.float32)}, "holds weight, which is no half of a low-rank pair"),
    ],
)
def test_an_adapter_that_does_not_fit(
    tmp_path: Path, pairs: dict[str, Pair], more: dict[str, np.ndarray], message: str
) -> None:
    base = write_tiny(tmp_path / "base.gguf")
    with pytest.raises(WeightsError, match=message):
        merged(str(base), [Lora(write_adapter(tmp_path / "lora.gguf", pairs, **more))], "Q8_0")
    assert not list((tmp_path / "cache").rglob("*.gguf"))


def test_what_is_no_adapter_for_this_model(tmp_path: Path) -> None:
    base = write_tiny(tmp_path / "base.gguf")
    with pytest.raises(WeightsError, match="is not a LoRA adapter"):
        merged(str(base), [Lora(base)], "Q8_0")
    qwen = write_adapter(tmp_path / "qwen.gguf", {"weight": pair(4, 64, 2)}, arch="qwen2")
    with pytest.raises(WeightsError, match="made for qwen2 models, this one is llama"):
        merged(str(base), [Lora(qwen)], "Q8_0")


def test_a_scale_behind_the_path() -> None:
    assert Lora.parse("a/b.gguf=0.5") == Lora(Path("a/b.gguf"), 0.5)
    assert str(Lora.parse("a/b.gguf")) == "b.gguf=1"
    with pytest.raises(InputError, match="expected PATH or PATH=SCALE with a number"):
        Lora.parse("b.gguf=high")
