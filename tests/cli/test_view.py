import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from spct.cli.labels import labels
from spct.cli.view import view
from spct.errors import InputError
from spct.items import read_items
from spct.run import RunStore
from spct.run.labels import Label, add_label
from spct.types import Item, Message

ITEM = Item("pair", (Message("user", "x"),), ("a", "b"))
SETTINGS = orjson.dumps({"model": "scripted:s", "k": 1, "seed": 0, "rule": "sum", "tie_rule": "first"}).decode()


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("SPCT_CACHE", str(tmp_path / "cache"))
    store = RunStore.create(tmp_path / "run", {"settings": SETTINGS})
    store.add_item(0, ITEM)
    store.close()
    return tmp_path / "run"


def called(command, *arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is no folder; name a run directory, or a folder with runs in it"),
        ([".", "--host", "0.0.0.0"], "there are no keys: anyone could read these runs"),
        ([".", "--label", " "], "--label: got a blank name"),
        ([".", "--criterion", "kind"], "--criterion asks a labeller for pass or fail: give --label NAME"),
        ([".", "--label", "ann", "--task", "rank", "--criterion", "kind"], "and no other --task"),
        ([".", "--label", "ann", "--criterion", "Is it kind?"], "expected a name and a question, such as"),
        ([".", "--export", "x.html"], "got 0 runs to export; name one run directory"),
    ],
)
def test_what_cannot_be_shown_is_said(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        called(view, *arguments, "--no-browser")
    assert message in str(error.value)


def test_export_from_the_command_line(run, tmp_path):
    file = tmp_path / "report.html"
    assert called(view, run, "--export", file) == f"written: {file}, 1 of 1 item\n"
    assert "unfinished" in file.read_text()
    assert called(view, run, "--export", file, "--items", "wrong,tied") == f"written: {file}, 0 of 1 item\n"
    with pytest.raises(InputError, match="got 'worng'; expected some of correct"):
        called(view, run, "--export", file, "--items", "worng")


def test_labels_become_items(run, tmp_path):
    with pytest.raises(InputError, match="nobody has labelled an item of it; give labels with spct view"):
        called(labels, run)
    add_label(run, ITEM, Label(0, "ann", 0, {"label": 1}))
    assert orjson.loads(called(labels, run))["labelled_by"] == ["ann"]
    called(labels, run, "--out", tmp_path / "labelled.jsonl")
    (item,) = read_items(tmp_path / "labelled.jsonl")
    assert (item.id, item.truth.kind, item.truth.best) == ("pair", "pair", 1)


def test_it_serves_until_it_is_stopped(run):
    command = [Path(sys.executable).parent / "spct", "view", str(run), "--port", "0", "--no-browser"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ})
    line = process.stderr.readline()
    assert line.startswith("1 run at http://127.0.0.1:")
    with urllib.request.urlopen(line.split()[3]) as answer:
        assert b"<h1>Runs</h1>" in answer.read()
    process.send_signal(signal.SIGINT)
    assert (process.wait(20), process.stderr.read()) == (0, "")
