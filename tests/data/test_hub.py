"""``hub`` sources against a small hub on the loopback that lists and serves one data set."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from spct.data.inputs import Opened
from spct.data.recipe import SourceRecipe
from spct.data.sources import fetch_source, load_source
from spct.data.sources.source import SourceAbout
from spct.errors import InputError

from . import rows

pytest.importorskip("huggingface_hub")
SHA = "a" * 40
FILES = {
    "preference/preference.jsonl": json.dumps(rows.HELPSTEER2).encode() + b"\n",
    "train.jsonl": b'{"prompt": "ratings, which are no preferences"}\n',
    "README.md": b"# card\n",
}


class Hub(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0]
        at = f"/datasets/nvidia/HelpSteer2/resolve/{SHA}/"
        if path == "/api/datasets/nvidia/HelpSteer2/revision/main":
            self.reply(json.dumps({"id": "nvidia/HelpSteer2", "sha": SHA}).encode())
        elif path == f"/api/datasets/nvidia/HelpSteer2/tree/{SHA}":
            listed = [{"type": "file", "path": name, "size": len(body), "oid": name} for name, body in FILES.items()]
            self.reply(json.dumps(listed).encode())
        elif path.startswith(at) and path.removeprefix(at) in FILES:
            self.reply(FILES[path.removeprefix(at)])
        else:
            self.reply(b"", 404)

    do_HEAD = do_GET

    def reply(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", SHA)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_only_the_files_of_the_source_are_fetched_and_read_like_local_ones(endpoint, tmp_path):
    source = load_source("helpsteer2")
    root = fetch_source(source.about, source.about.hub, cache=tmp_path, endpoint=endpoint)
    found = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jsonl"))
    assert found == ["preference/preference.jsonl"]
    opened = Opened(SourceRecipe(kind="helpsteer2", path=root), source, root, (root / found[0],))
    (read,) = opened.groups()
    assert (read.found.wins, read.found.strength) == (((1, 0),), 2)
    assert read.origin == "preference/preference.jsonl, line 1"


def test_what_the_hub_does_not_have_is_one_clear_error(endpoint, tmp_path):
    about = load_source("helpsteer2").about
    with pytest.raises(InputError, match=r"HelpSteer2-Preference \(nvidia/HelpSteer9\) is refused by the hub: .*404"):
        fetch_source(about, "nvidia/HelpSteer9", cache=tmp_path, endpoint=endpoint)
    with pytest.raises(
        InputError,
        match=r"\(nvidia/HelpSteer2\) is not cached and the hub cannot be reached; .*, or give the path of its files$",
    ):
        fetch_source(about, about.hub, cache=tmp_path, endpoint="http://127.0.0.1:9")
    with pytest.raises(InputError, match="RMB is not on the hub; give the path of its files"):
        fetch_source(SourceAbout("RMB", "none", "rows"), None, cache=tmp_path, endpoint=endpoint)
