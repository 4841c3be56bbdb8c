"""The wheel without extras, tried on every Python it is for: ``python tests/wheels.py``, or ``make wheels``.

Builds the sdist, and the wheel from the sdist. For each Python below that is installed: installs the wheel into a new
environment, imports ``spct``, prints the help of every command, and judges two items by a local server. Stops at the
first step that fails, with its output. Everything lies in a temporary folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
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
        (wheel,) = folder.glob("*.whl")
        (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        with JudgingProcess() as server:
            for version in PYTHONS:
                if (python := python_of(version)) is None:
                    print(f"Python {version}: not installed here, left out")
                else:
                    tried(version, python, wheel, folder, server.base_url)


def tried(version: str, python: str, wheel: Path, folder: Path, base_url: str) -> None:
    """Install ``wheel`` for one Python and use it. Raises SystemExit for what fails."""
    env = folder / version
    own = env / ("Scripts" if os.name == "nt" else "bin") / "python"
    done(python, "-m", "venv", "--without-pip", env)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", own)
    done(*pip, "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel)
    release = done(own, "-c", IMPORT)
    done(own, "-c", HELP)
    judge = ("judge", folder / "items.jsonl", "--model", "openai:any", "--base-url", base_url, "-k", "2", "--json")
    lines = done(own.with_name("spct"), *judge, "--out", folder / f"run-{version}")
    best = {row["id"]: row["best"] for row in map(json.loads, lines.splitlines())}
    if best != {"a": 1, "b": 0}:
        sys.exit(f"Python {version}: spct judge found {best} the best; expected response 1 of a and 0 of b\n{lines}")
    print(f"Python {version}: spct {release.strip()} is imported and judges")


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
