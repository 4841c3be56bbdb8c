"""The sdist and the wheel without extras, tried on every Python they are for: ``python tests/wheels.py``, or ``make wheels``.

Builds the sdist, the wheel from the sdist, and the wheel from the tree, which must hold the same files, all that git knows of the
package among them. For each Python below that is installed: installs the wheel into a new environment (the sdist on the first),
imports ``spct``, whose version must be that of ``pyproject.toml``, prints the help of every command, and judges two items by a
local server. Stops at the first step that fails, with its output. Everything lies in a temporary folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

from servers.judging import JudgingProcess

PYTHONS = ("3.11", "3.12", "3.13")
ROOT = Path(__file__).parent.parent
ROWS = [
    {"id": "a", "prompt": "Count.", "responses": ["2 of them", "9 of them"]},
    {"id": "b", "prompt": "Count.", "chosen": "8 of them", "rejected": "3 of them"},
]
IMPORT = "import spct; print(spct.__version__)"
HELP = (
    "from click.testing import CliRunner; from spct.cli import COMMANDS, spct\n"
    "for name in COMMANDS: result = CliRunner().invoke(spct, [name, '--help']); assert result.exit_code == 0, (name, result)"
)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        done(sys.executable, "-m", "build", "--outdir", folder, ROOT)
        done(sys.executable, "-m", "build", "--wheel", "--outdir", folder / "tree", ROOT)
        (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
        check_files(wheel, folder / "tree" / wheel.name)
        (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        with JudgingProcess() as server:
            found = {version: python for version in PYTHONS if (python := python_of(version)) is not None}
            for version in PYTHONS:
                if version not in found:
                    print(f"Python {version}: not installed here, left out")
                    continue
                package = sdist if version == next(iter(found)) else wheel
                tried(version, found[version], package, folder, server.base_url)


def check_files(wheel: Path, other: Path) -> None:
    """Raises SystemExit unless both wheels hold the same bytes under the same names, every file of the package among them."""
    contents = []
    for path in (wheel, other):
        with zipfile.ZipFile(path) as archive:
            contents.append({name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name})
    differ = sorted(
        name for name in contents[0].keys() | contents[1].keys() if contents[0].get(name) != contents[1].get(name)
    )
    if differ:
        sys.exit(f"the wheel from the sdist and the wheel from the tree differ in {', '.join(differ)}")
    known = done("git", "-C", ROOT, "ls-files", "src/spct").splitlines()
    if lacking := [name for name in known if name.removeprefix("src/") not in contents[0]]:
        sys.exit(f"the wheel lacks {', '.join(lacking)}")
    print(f"the wheels from the sdist and from the tree hold the same {len(contents[0])} files")


def tried(version: str, python: str, package: Path, folder: Path, base_url: str) -> None:
    """Install a wheel or an sdist for one Python and use it. Raises SystemExit for what fails."""
    env = folder / version
    own = env / ("Scripts" if os.name == "nt" else "bin") / "python"
    done(python, "-m", "venv", "--without-pip", env)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", own)
    done(*pip, "install", "--quiet", "--constraint", ROOT / "constraints.txt", package)
    release = done(own, "-c", IMPORT).strip()
    if release != (named := tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]):
        sys.exit(f"Python {version}: spct says that it is {release}; pyproject.toml says {named}")
    done(own, "-c", HELP)
    judge = ("judge", folder / "items.jsonl", "--model", "openai:any", "--base-url", base_url, "-k", "2", "--json")
    lines = done(own.with_name("spct"), *judge, "--out", folder / f"run-{version}")
    best = {row["id"]: row["best"] for row in map(json.loads, lines.splitlines())}
    if best != {"a": 1, "b": 0}:
        sys.exit(f"Python {version}: spct judge found {best} the best; expected response 1 of a and 0 of b\n{lines}")
    kind = "the sdist" if package.suffix == ".gz" else "the wheel"
    print(f"Python {version}: spct {release}, from {kind}, is imported and judges")


def done(*command: str | Path) -> str:
    """What ``command`` wrote to stdout. Raises SystemExit, with all that it wrote, if it fails."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tempfile.gettempdir(), env=clean)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {result.returncode}:\n{result.stdout}{result.stderr}")
    return result.stdout


def python_of(version: str) -> str | None:
    """A command that runs this Python: that of PATH or of pyenv, whose own command may be there without a Python."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for command in (f"python{version}", *map(str, sorted(kept.glob(f"{version}.*/bin/python")))):
        try:
            subprocess.run([command, "-c", ""], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return command
    return None


if __name__ == "__main__":
    main()
