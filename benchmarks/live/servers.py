"""Real servers as processes of their own, on this machine: started, waited for, killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from spct.weights import resolve

START_S = 900.0
"""The longest that a server may take to start: vLLM compiles where it is not told to leave that out."""

NAME = "smollm2"
SEEDED = ("--no-enable-chunked-prefill", "--max-num-batched-tokens", "8192")
"""On a CPU vLLM 0.32.0 ends at a request with a seed whose prompt it has cut into chunks."""

LLAMACPP = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.port = sys.argv[1], int(sys.argv[2])
params.n_parallel, params.n_ctx, params.kv_unified, params.verbosity = 8, 8 * 4096, False, -1
params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
params.cache_prompt = False
if len(sys.argv) > 3:
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(sys.argv[3])
server = xllamacpp.Server(params)
time.sleep(10**6)
"""


class Server:
    """A command that serves HTTP at ``port``; ``with`` starts it, waits until it is healthy, and ends it."""

    def __init__(self, command: Sequence[str], port: int, log: Path, environment: Mapping[str, str]) -> None:
        self._command = list(command)
        self._log = log
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=self._environment, start_new_session=True
            )
        began = time.monotonic()
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() - began > START_S:
                self.kill()
                raise SystemExit(f"the server did not start:\n{self._log.read_text('utf-8', 'replace')[-3000:]}")
            time.sleep(1)

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @property
    def cpu_s(self) -> float:
        """Processor time that the server's process has taken, which other work on the machine hardly lengthens."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """As ``kill -9`` of the server and of the processes that it has made; nothing if it is not running."""
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def vllm_server(live: Path, model: Path, log: Path, *more: str, dtype: str = "bfloat16") -> Server:
    """``vllm serve`` of the environment ``live``, without compiling."""
    port = free_port()
    command = [str(live / "bin" / "vllm"), "serve", str(model), "--served-model-name", NAME, "--host", "127.0.0.1"]
    command += ["--port", str(port), "--max-model-len", "4096", "--dtype", dtype, "--enforce-eager", *SEEDED, *more]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    return Server(command, port, log, environment)


def classifier_server(live: Path, model: Path, log: Path) -> Server:
    """vLLM's ``/classify``, in float32 as the local classifier."""
    return vllm_server(live, model, log, "--runner", "pooling", "--convert", "classify", dtype="float32")


def llamacpp_server(log: Path, threads: int | None = None) -> Server:
    """llama.cpp's own HTTP server, with eight slots, on the file that the in-process engine reads; without flash attention and
    with nothing of a prompt kept for the next, as that engine has it (docs/engines.md): so both give the same samples.
    """
    port = free_port()
    path = resolve("smollm2-135m", encoding="Q8_0").path
    more = [] if threads is None else [str(threads)]
    return Server([sys.executable, "-c", LLAMACPP, str(path), str(port), *more], port, log, {})


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
