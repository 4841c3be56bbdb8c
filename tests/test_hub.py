"""Models and data sets of a small hub on the loopback; models in a child, since the hub's client reads its settings once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from spct.bench.suites import fetch_benchmark, load_benchmark
from spct.errors import InputError, WeightsError
from spct.weights import resolve
from weights.tiny_gguf import write_tiny

pytest.importorskip("huggingface_hub")

RESOLVE = """
import sys
from spct.errors import WeightsError
from spct.weights import resolve
try:
    print(resolve(sys.argv[1]).path)
except WeightsError as error:
    print("WeightsError:", error)
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    content = write_tiny(tmp_path / "tiny.gguf").read_bytes()

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.reply(b"")

        def do_GET(self) -> None:
            self.reply(content)

        def reply(self, body: bytes) -> None:
            found = self.path == "/owner/repo/resolve/main/sub/tiny.gguf"
            self.send_response(200 if found else 404)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "a" * 40)
            self.send_header("X-Error-Code", "" if found else "EntryNotFound")
            self.send_header("Content-Length", str(len(content) if found else 0))
            self.end_headers()
            self.wfile.write(body if found else b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run(name: str, endpoint: str, home: Path, **extra: str) -> str:
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "*"}
    done = subprocess.run(
        [sys.executable, "-c", RESOLVE, name],
        env=os.environ | settings | extra,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_fetched_then_cached(hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    path = Path(run("hf:owner/repo/sub/tiny.gguf", endpoint, tmp_path / "home"))
    assert path.read_bytes() == (tmp_path / "tiny.gguf").read_bytes()
    dead = "http://127.0.0.1:9"
    assert Path(run("hf:owner/repo/sub/tiny.gguf", dead, tmp_path / "home")) == path


def test_missing_and_offline_are_one_clear_line(hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    missing = run("hf:owner/repo/none.gguf", f"http://127.0.0.1:{hub.server_port}", tmp_path / "home")
    assert missing.startswith("WeightsError: model 'hf:owner/repo/none.gguf' is refused by the hub: 404")
    assert len(missing.splitlines()) == 1
    # without this setting the hub's client says the same after half a minute of retries
    offline = run("hf:owner/repo/none.gguf", "http://127.0.0.1:9", tmp_path / "home", HF_HUB_OFFLINE="1")
    assert "is not cached and the hub cannot be reached; check the network" in offline
    assert len(offline.splitlines()) == 1


def test_malformed_names() -> None:
    for name in ("hf:owner", "hf:owner/repo", "hf:owner/repo/file.safetensors", "hf:/repo/file.gguf"):
        with pytest.raises(WeightsError, match=r"expected hf:OWNER/REPO/FILE\.gguf"):
            resolve(name)


def test_a_hub_that_does_not_answer_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        fetch_benchmark(load_benchmark("rewardbench").about, cache=tmp_path, endpoint="http://127.0.0.1:9")
    assert str(caught.value) == (
        "RewardBench 1 (allenai/reward-bench) is not cached and the hub cannot be reached; check the network, or give the "
        "path of its files"
    )


def test_a_benchmark_that_is_not_on_the_hub_says_where_it_is() -> None:
    with pytest.raises(InputError, match="RMB is not on the hub; get it from Zhou-Zoey"):
        fetch_benchmark(load_benchmark("rmb").about)
