"""``manifest.json``: the recipe, the hashes of all that was read, the hashes of what was written.

A later stage asks ``is_current`` whether the data must be built again, and takes the outputs' hashes as its input's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from spct.bench.suites import fetch_benchmark, load_benchmark
from spct.data.inputs import Opened, hashed, open_source
from spct.data.output import read_json, write_json
from spct.data.recipe import DataRecipe, ExcludedRecipe
from spct.errors import InputError

MANIFEST = "manifest.json"


def benchmark_path(benchmark: ExcludedRecipe) -> Path:
    """Where the benchmark's files are, fetched where the recipe says hub."""
    if str(benchmark.path) == "hub":
        return fetch_benchmark(load_benchmark(benchmark.name).about)
    return benchmark.path


def inputs_of(recipe: DataRecipe, opened: Sequence[Opened]) -> dict[str, Any]:
    """The hash of every file that the recipe reads. Raises InputError for a path that is not there."""
    benchmarks = {}
    for benchmark in recipe.contamination.benchmarks:
        root = benchmark_path(benchmark)
        if not root.exists():
            raise InputError(f"contamination: {benchmark.name}: there is no such file or directory: {root}")
        files = (root,) if root.is_file() else tuple(sorted(file for file in root.rglob("*") if file.is_file()))
        benchmarks[benchmark.name] = hashed(files, root)
    return {
        "version": version("spct"),
        "recipe": recipe.model_dump(mode="json", exclude={"out"}),
        "sources": {source.recipe.label: hashed(source.files, source.root) for source in opened},
        "benchmarks": benchmarks,
    }


def write_manifest(inputs: Mapping[str, Any], files: Mapping[str, Any], out: Path) -> None:
    write_json(out / MANIFEST, {"format": 1, **inputs, "outputs": files})


def read_manifest(out: Path) -> dict[str, Any] | None:
    """The manifest of a finished build, None where there is none. Raises RunError where it cannot be read."""
    return read_json(out / MANIFEST)


def is_current(recipe: DataRecipe, out: Path) -> bool:
    """Whether ``out`` holds what building the recipe now would give: same recipe, version and inputs, outputs intact."""
    found = read_manifest(out)
    if found is None:
        return False
    inputs = inputs_of(recipe, [open_source(source) for source in recipe.sources])
    if any(found.get(key) != value for key, value in inputs.items()):
        return False
    outputs = {name: entry["hash"] for name, entry in found["outputs"].items()}
    files = tuple(out / name for name in outputs)
    return all(file.is_file() for file in files) and hashed(files, out) == outputs
