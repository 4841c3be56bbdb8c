from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spct.errors import WeightsError
from spct.weights import ModelFile, read_header, recode, resolve
from weights.tiny_gguf import metadata, values, write_tiny


@pytest.mark.parametrize("source", ["Q4_0", "Q4_1", "Q5_0", "Q8_0", "F16", "F32", "BF16"])
@pytest.mark.parametrize(("target", "error"), [("Q8_0", 0.01), ("F16", 0.001)])
def test_values_survive(tmp_path: Path, source: str, target: str, error: float) -> None:
    before, after = write_tiny(tmp_path / "a.gguf", source), tmp_path / "b.gguf"
    recode(before, after, target)
    old, new = values(before), values(after)
    for name in old:
        assert np.abs(new[name] - old[name]).max() <= error * np.abs(old[name]).max(), name


def test_encodings_and_metadata(tmp_path: Path) -> None:
    before, after = write_tiny(tmp_path / "a.gguf"), tmp_path / "b.gguf"
    recode(before, after, "Q8_0")
    encodings = {t.name: t.encoding for t in read_header(after).tensors}
    # a row of 7 is no whole Q8_0 block; a norm is never quantized
    assert encodings == {"weight": "Q8_0", "embedding": "Q8_0", "odd": "F16", "norm": "F32"}
    old, new = metadata(before), metadata(after)
    assert {key for key in old if old[key] != new[key]} == {"general.file_type"}
    assert (new["general.file_type"], list(old)) == (7, list(new))
    assert np.array_equal(values(before)["embedding"], values(after)["embedding"])


def test_unknown_encoding_and_full_failure_leave_nothing(tmp_path: Path) -> None:
    before = write_tiny(tmp_path / "a.gguf")
    with pytest.raises(WeightsError, match="cannot re-encode to 'Q3_K'; expected one of Q8_0, F16"):
        recode(before, tmp_path / "b.gguf", "Q3_K")
    with pytest.raises(WeightsError, match="cannot write"):
        recode(before, tmp_path / "a.gguf" / "b.gguf", "Q8_0")
    assert [path.name for path in tmp_path.iterdir()] == ["a.gguf"]


def test_real_model_is_near_lossless(smollm2: ModelFile) -> None:
    old, new = values(smollm2.path), values(resolve("smollm2-135m", encoding="Q8_0", fetch=False).path)
    assert list(old) == list(new)
    for name in old:
        change = np.linalg.norm(new[name] - old[name]) / np.linalg.norm(old[name])
        assert change < 0.01, name
    assert np.array_equal(old["token_embd.weight"], new["token_embd.weight"])


def test_path_in_another_encoding_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPCT_CACHE", str(tmp_path / "cache"))
    source = write_tiny(tmp_path / "a.gguf")
    said: list[str] = []
    first = resolve(str(source), encoding="Q8_0", progress=said.append)
    again = resolve(str(source), encoding="Q8_0", progress=said.append)
    assert (first, first.encoding, first.license) == (again, "Q8_0", "mit")
    assert said == ["re-encoding a.gguf to Q8_0"]
    write_tiny(source, seed=1)  # a changed file is another model
    assert resolve(str(source), encoding="Q8_0").path != first.path
    assert resolve(str(source), encoding="Q4_1").path == source
    assert not list((tmp_path / "cache").rglob("scratch-*")) and not list((tmp_path / "cache").rglob("*.part"))
