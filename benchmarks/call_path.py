"""The way of one row to its verdict through the files of ``spct``, counted while it is walked.

    python -m benchmarks.call_path [--layers pyproject.toml]

Two items (``GRM`` one) are judged in this process by eight samples of a local server, and every call of a function of
``spct`` is recorded, on all threads; what runs when a module is imported is not. Printed for each way to judge:

- files: those of which a function ran;
- steps: pairs of files of which the first called the second, a resumed coroutine or generator included;
- deepest: most files on the stack at once;
- climbs: steps to a layer above that of the caller, and how many of them go to a package that the caller imports; the
  others are callbacks, handed down by whoever may know both.

``--layers`` names a TOML file whose first import-linter contract lists the layers from the top, so that an older tree
can be counted by its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import grimp
from benchmarks.servers import instant_server
from click.testing import CliRunner

import spct
from spct.cli import spct as command

ROOT = Path(spct.__file__).parent
ROWS = [
    {"id": f"{i}", "prompt": f"Which is better, {i}?", "chosen": "The first.", "rejected": "The other."}
    for i in range(2)
]


def in_python(path: Path, base_url: str) -> None:
    """From the read row to the printed verdict."""
    with spct.GRM(spct.load_engine("openai:instant", base_url=base_url), k=8) as grm:
        for verdict in grm.judge_many(ROWS[:1]):
            str(verdict)


def on_the_command_line(path: Path, base_url: str, *arguments: str) -> None:
    options = ("--out", str(path.parent / "run"), "-k", "8", "--model", "openai:instant", "--base-url", base_url)
    result = CliRunner().invoke(command, [*arguments, *options], standalone_mode=False)
    if result.exception is not None:
        raise RuntimeError(f"spct {' '.join(arguments)}: {result.output}") from result.exception


WAYS: dict[str, Callable[[Path, str], None]] = {
    "GRM.judge_many": in_python,
    "spct judge": lambda path, base_url: on_the_command_line(path, base_url, "judge", str(path)),
    "spct bench items": lambda path, base_url: on_the_command_line(
        path, base_url, "bench", "items", "--data", str(path)
    ),
}


class Recorder:
    """Counts calls between files of ``spct`` while it is switched on."""

    def __init__(self) -> None:
        self.steps: set[tuple[str, str]] = set()
        self.files: set[str] = set()
        self.deepest = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event != "call" or (callee := module_of(frame)) is None:
            return
        self.files.add(callee)
        stack = [callee]
        caller = frame.f_back
        while caller is not None:
            if (name := module_of(caller)) is not None:
                stack.append(name)
            caller = caller.f_back
        self.deepest = max(self.deepest, len(set(stack)))
        if len(stack) > 1 and stack[1] != callee:
            self.steps.add((stack[1], callee))


def module_of(frame: FrameType) -> str | None:
    """The module of ``spct`` whose function this is; None for other code and for the body of a module or class."""
    path, own = frame.f_code.co_filename, f"{ROOT}/"
    if not (path.startswith(own) and path.endswith(".py")) or frame.f_code.co_name == "<module>":
        return None
    if "__qualname__" in frame.f_locals:
        return None
    return "spct." + path.removeprefix(own).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def recorded(way: Callable[[Path, str], None], base_url: str) -> Recorder:
    """What ``way`` calls, on all threads."""
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        threading.setprofile(recorder)
        sys.setprofile(recorder)
        try:
            way(path, base_url)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
    return recorder


def layers_of(path: Path) -> dict[str, int]:
    """The height of each package and root module of ``spct``, from the first contract in ``path``."""
    listed = tomllib.loads(path.read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    return {name.strip(): height for height, layer in enumerate(reversed(listed)) for name in layer.split("|")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=Path, default=Path("pyproject.toml"))
    layers = layers_of(parser.parse_args().layers)
    graph = grimp.build_graph("spct", cache_dir=None)
    up = [(a, b) for a, b in imports_of(graph) if height_of(a, layers) < height_of(b, layers)]
    print(f"imports that go up: {', '.join(f'{a} -> {b}' for a, b in up) or 'none'}")
    with instant_server() as base_url:
        for name, way in WAYS.items():
            recorded(way, base_url)  # imports what it imports late, and fills caches
            found = recorded(way, base_url)
            climbs = sorted((a, b) for a, b in found.steps if height_of(a, layers) < height_of(b, layers))
            imported = {(a, b) for a, b in climbs if imports(graph, a, b)}
            print(
                f"{name}: {len(found.files)} files, {len(found.steps)} steps, deepest {found.deepest}, "
                f"{len(climbs)} climbs, {len(imported)} of them imported"
            )
            for a, b in climbs:
                print(f"  {a} -> {b}{' (imported)' if (a, b) in imported else ''}")


def height_of(module: str, layers: dict[str, int]) -> int:
    return layers[module.split(".")[1]]


def imports_of(graph: grimp.ImportGraph) -> Iterator[tuple[str, str]]:
    """Every import of one module by another, late ones included; ``spct`` itself, which is the face of all, left out."""
    for importer in sorted(graph.modules - {"spct"}):
        for imported in sorted(graph.find_modules_directly_imported_by(importer) - {"spct"}):
            yield importer, imported


def imports(graph: grimp.ImportGraph, importer: str, called: str) -> bool:
    """Whether ``importer`` imports anything of the package that ``called`` is in, at its head or in a function."""
    package = ".".join(called.split(".")[:2])
    return any(f"{name}.".startswith(f"{package}.") for name in graph.find_modules_directly_imported_by(importer))


if __name__ == "__main__":
    main()
