"""A real ``spct serve`` in a process of its own, which a test can kill and start again on the same port."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Self
from urllib.parse import urlsplit


class SpctServe:
    """``with SpctServe("scripted:FILE:FUNCTION", "-k", "2") as served:`` answers at ``served.url``."""

    def __init__(self, model: str, *options: str) -> None:
        self._command = [str(Path(sys.executable).parent / "spct"), "serve", "--model", model, *options]
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Return when it listens."""
        command = [*self._command, "--port", str(self._port)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        told = []
        for line in self._process.stderr:
            told.append(line)
            if '"listening"' in line:
                self._port = urlsplit(json.loads(line)["address"]).port or 0
                threading.Thread(target=_read_on, args=(self._process.stderr,), daemon=True).start()
                return
        raise RuntimeError(f"spct serve ended: {''.join(told)}")

    def stop(self, kind: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal and return the exit code."""
        assert self._process is not None
        self._process.send_signal(kind)
        return self._process.wait(60)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()


def _read_on(stream: IO[str]) -> None:
    """Keep the pipe from filling up."""
    for _ in stream:
        pass
