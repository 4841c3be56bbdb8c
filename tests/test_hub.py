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

PULL = """
import sys
from spct.errors import WeightsError
from spct.weights import CATALOGUE, KnownModel, pull
from spct.weights.catalogue import HubSource
size, sha256, commit = sys.argv[1].split()
source = HubSource("owner/repo", commit, "sub/tiny.gguf")
CATALOGUE["tiny"] = KnownModel(source, int(size), sha256, "Q4_1", "MIT", "Owner", 1, 0)
try:
    print(pull("tiny", print).path)
except WeightsError as error:
    print("WeightsError:", error)
"""
COMMIT = "a" * 40


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    content = write_tiny(tmp_path / "tiny.gguf").read_bytes()

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.reply(b"")

        def do_GET(self) -> None:
            self.reply(content)

        def reply(self, body: bytes) -> None:
            found = self.path in {f"/owner/repo/resolve/{at}/sub/tiny.gguf" for at in ("main", COMMIT)}
            self.send_response(200 if found else 404)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
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


def run(name: str, endpoint: str, home: Path, program: str = RESOLVE, **extra: str) -> str:
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "*"}
    done = subprocess.run(
        [sys.executable, "-c", program, name],
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


def test_a_known_model_is_fetched_at_its_commit_and_checked_from_then_on(
    hub: ThreadingHTTPServer, tmp_path: Path
) -> None:
    content = (tmp_path / "tiny.gguf").read_bytes()
    size, sha256 = len(content), hashlib.sha256(content).hexdigest()
    file = tmp_path / "cache" / "models" / "tiny" / "tiny.gguf"

    def pull(sha256: str, endpoint: str = f"http://127.0.0.1:{hub.server_port}", offline: str = "0") -> list[str]:
        extra = {"SPCT_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": offline}
        return run(f"{size} {sha256} {COMMIT}", endpoint, tmp_path / "home", PULL, **extra).splitlines()

    assert pull("0" * 64)[-1] == (
        f"WeightsError: tiny.gguf from the hub (owner/repo) has SHA-256 {sha256}, expected {'0' * 64}; another file was "
        "served than the one this version of spct was made for"
    )
    assert [path.name for path in file.parent.iterdir()] == [".lock"]
    assert pull(sha256) == ["fetching tiny.gguf (0 MB) from the hub (owner/repo)", str(file)]
    assert sorted(path.name for path in file.parent.iterdir()) == [".lock", "tiny.gguf"]
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert pull(sha256, "http://127.0.0.1:9", "1")[-1].startswith("WeightsError: sub/tiny.gguf (owner/repo) ")


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
