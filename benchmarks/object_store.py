"""A batch on Ray whose input lies in an object store: an S3 server on this machine (moto), JSON lines and Parquet, by pattern.

    pip install 'moto[server]'                    # in any environment; its moto_server is named by --moto
    python -m benchmarks.object_store [--moto moto_server] [--items 200]

Half of the items are in each form. The verdicts must be those of one process over the same items from a file; exits with 1 if
they are not.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet
from benchmarks.batches import SPCT

MODEL = ["--model", "benchmarks.batches:CountedEngine:quiet", "-k", "4"]
NOT_SECRET = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": "us-east-1"}


def rows(count: int) -> list[dict[str, Any]]:
    """Pairs with ids, so that both ways name them alike."""
    return [
        {"id": f"{i}", "prompt": f"Which is larger, case {i}?", "responses": ["2", "30"], "best": 1}
        for i in range(count)
    ]


def fill(store: pyarrow.fs.S3FileSystem, found: Sequence[dict[str, Any]]) -> list[str]:
    """Put the items in a bucket; the sources that name them."""
    half = len(found) // 2
    store.create_dir("bucket")
    for part, begin in enumerate(range(0, half, max(1, half // 2))):
        lines = [orjson.dumps(row) for row in found[begin : min(half, begin + max(1, half // 2))]]
        with store.open_output_stream(f"bucket/lines/{part}.jsonl") as file:
            file.write(b"\n".join(lines))
    with store.open_output_stream("bucket/tables/0.parquet") as file:
        pyarrow.parquet.write_table(pa.Table.from_pylist(found[half:]), file)
    return ["s3://bucket/lines/*.jsonl", "s3://bucket/tables/"]


def judged(source: str, out: Path, environment: dict[str, str], *more: str) -> list[bytes]:
    """The verdicts of a run, a line each."""
    subprocess.run([*SPCT, "judge", source, *MODEL, "--out", str(out), *more], env=environment, check=True)
    shown = subprocess.run([*SPCT, "show", str(out), "--json"], env=environment, check=True, stdout=subprocess.PIPE)
    return shown.stdout.splitlines()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moto", default="moto_server", help="the command that serves S3")
    parser.add_argument("--items", type=int, default=200)
    options = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    environment = {**os.environ, **NOT_SECRET, "AWS_ENDPOINT_URL": address, "PYTHONPATH": str(Path.cwd())}
    server = subprocess.Popen([options.moto, "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        store = pyarrow.fs.S3FileSystem(
            access_key="none", secret_key="none", endpoint_override=address, allow_bucket_creation=True
        )
        found = rows(options.items)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "items.jsonl"
            file.write_bytes(b"\n".join(map(orjson.dumps, found)))
            by_ray = [
                verdict
                for place, source in enumerate(fill(store, found))
                for verdict in judged(
                    source, Path(folder) / f"{place}", environment, "--ray", "--actors", "2", "--shard-items", "16"
                )
            ]
            by_one = judged(str(file), Path(folder) / "one", environment)
    finally:
        server.terminate()
        server.wait()
    same = sum(one == other for one, other in zip(by_ray, by_one, strict=False))
    print(f"{same} of {options.items} verdicts are those of one process")
    return 0 if same == options.items == len(by_ray) else 1


if __name__ == "__main__":
    sys.exit(main())
