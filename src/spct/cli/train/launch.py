"""Starting a command over in several processes, as ``accelerate launch`` does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import yaml

from spct.errors import InputError, TrainingError

LAUNCHED = "SPCT_LAUNCHED"


def launched(config: Path) -> bool:
    """Run this very command under ``accelerate launch --config_file config`` and wait; False if this is one of its processes.

    Raises InputError for a file that is not there, TrainingError if the launched processes fail (each has said why).
    """
    if LAUNCHED in os.environ:
        _check_count(config)
        return False
    if not config.is_file():
        raise InputError(f"--launch: there is no such file: {config}; give a configuration of accelerate")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config), *sys.argv]
    code = _run(command)
    if code:
        raise TrainingError(f"accelerate launch ended with code {code}; the first error above says why")
    return True


def _run(command: list[str]) -> int:
    """The exit code of ``command``, which does not outlive this process unless that is killed outright."""
    process = subprocess.Popen(command, env={**os.environ, LAUNCHED: "1"})
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _check_count(config: Path) -> None:
    """accelerate takes a kind that it has no launcher for (MULTI_CPU without mpirun) as a wish for one process."""
    wanted = (yaml.safe_load(config.read_text()) or {}).get("num_processes", 1)
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if wanted != started:
        raise InputError(
            f"--launch: {config} asks for {wanted} processes and accelerate started {started}; on CPUs, write "
            "distributed_type: MULTI_GPU with use_cpu: true"
        )


def main_process() -> bool:
    """Whether this process is the one that speaks: the only one, or the first of a launch."""
    return os.environ.get("RANK", "0") == "0"
