"""The file of several judges: what it may say, and what is said of it."""

import json
import os
import re
import subprocess
import sys

import click
import pytest

from spct.cli.serve import _serving, serve
from spct.cli.serve_file import read_serve_file
from spct.errors import InputError
from spct.serve.auth import Keys
from spct.serve.limits import Limits
from spct.serve.log import JsonLog
from spct.serve.metrics import Metrics

SCRIPT = """
from spct.engines.scripted import judgment_text

def judge(request, j):
    return judgment_text([8, 3])
"""
SERVE = [sys.executable, "-c", "from spct.cli import main; main()", "serve"]


def read(tmp_path, text):
    (tmp_path / "serve.toml").write_text(text)
    return read_serve_file(tmp_path / "serve.toml", click.Context(serve))


def test_all_of_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("THE_KEY", "sk-1")
    file = read(
        tmp_path,
        f"""
        default = "strict"
        port = 0
        cohort-wait = 30
        quiet = true

        [limit]
        n = 16
        body_s = 2.5

        [shares]
        alice = 3
        bob = 0.5

        [judges.plain]
        model = "openai:m"
        base-url = "http://localhost:1/v1"
        api-key-env = "THE_KEY"
        param = {{ top_k = 5, seed = "none" }}
        k = 4
        grammar = false

        [judges.strict]
        judge = "pairwise"
        model = ["openai:a", "openai:b"]
        api_key_command = "{sys.executable} -c 'print(chr(107))'"
        rubric = "rubrics/strict.yaml"
        judge-option = {{ tournament = "swiss" }}
        callers = ["alice"]
        temperature = 0
        out = "runs/strict"
        deadline = 5
        """,
    )
    assert file.default == "strict"
    assert file.top == {
        "port": 0,
        "cohort_wait": 30,
        "quiet": True,
        "limit": ["n=16", "body_s=2.5"],
    }
    assert file.shares == {"alice": 3, "bob": 0.5}
    assert file.callers == {"strict": ("alice",)}
    assert file.keys_named == {"alice", "bob"}
    assert file.judges["plain"] == {
        "model": "openai:m",
        "base_url": ("http://localhost:1/v1",),
        "params": ("top_k=5", "seed=none"),
        "k": 4,
        "grammar": False,
        "api_key": "sk-1",
    }
    strict = file.judges["strict"]
    assert (strict["kind"], strict["model"], strict["api_key"]) == ("pairwise", ("openai:a", "openai:b"), "k")
    assert (strict["judge_option"], strict["temperature"], strict["deadline"]) == (("tournament=swiss",), 0.0, 5.0)
    assert str(strict["out"]) == "runs/strict"


def test_the_first_judge_is_the_default(tmp_path):
    file = read(tmp_path, '[judges.b]\nmodel = "m:b"\n[judges.a]\nmodel = "m:a"\n')
    assert (file.default, list(file.judges), file.shares, file.top) == ("b", ["b", "a"], {}, {})


ONE = '[judges.a]\nmodel = "m:a"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "judges: expected a table for each judge, such as [judges.helpful]"),
        ("judges = 3\n", "judges: expected a table for each judge"),
        ("[judges]\na = 3\n", "judges.a: got int; expected a table of options"),
        ("x = [\n", "cannot be read as TOML"),
        ('default = "b"\n' + ONE, "default: got 'b'; expected one of the judges: a"),
        ("prot = 3\n" + ONE, "unknown key 'prot'; did you mean 'port'?"),
        ("[limits]\nn = 3\n" + ONE, "unknown key 'limits'; did you mean 'limit'?"),
        ('[judges."a b"]\n', "judges: got the name 'a b'"),
        ('[judges."../a"]\n', "judges: got the name '../a'"),
        (ONE + "modell = 3\n", "unknown key 'judges.a.modell'; did you mean 'model'?"),
        (ONE + "port = 3\n", "unknown key 'judges.a.port'"),
        (ONE + "verbose = true\n", "unknown key 'judges.a.verbose'"),
        (ONE + 'config = "other.toml"\n', "unknown key 'judges.a.config'"),
        ('config = "other.toml"\n' + ONE, "unknown key 'config'"),
        (ONE + 'k = "many"\n', "judges.a.k: 'many' is not a valid integer"),
        (ONE + "k = 2.5\n", "judges.a.k: got 2.5; expected text or a number"),
        (ONE + "k = true\n", "judges.a.k: got True; expected text or a number"),
        (ONE + "k = [1, 2]\n", "judges.a.k: got [1, 2]; expected text or a number"),
        (ONE + "grammar = 1\n", "judges.a.grammar: got 1; expected true or false"),
        (ONE + 'rule = "most"\n', "judges.a.rule: 'most' is not one of"),
        (ONE + "queue = -1\n", "judges.a.queue: -1 is not in the range"),
        (ONE + "param = { a = [1] }\nrubric = { b = 1 }\n", "judges.a.rubric: got {'b': 1}; expected text or a number"),
        (ONE + "param = [3]\nlora = [[1]]\n", "judges.a.lora: got [1]; expected text or a number"),
        (ONE + 'out = " "\n', "judges.a.out: got a blank path"),
        ("port = 70000\n" + ONE, "port: 70000 is not in the range"),
        ("queue = 2026-11-29\n" + ONE, "queue: got datetime.date(2026, 11, 29); expected text or a number"),
        (ONE + 'api-key = "sk-1"\n', "judges.a.api-key: keys are not kept in files"),
        ('api-key = "sk-1"\n' + ONE, "api-key: keys are not kept in files"),
        (ONE + 'header = { Authorization = "Bearer sk-1" }\n', "judges.a.header: secrets are not kept in files"),
        (ONE + 'header = ["X-Api-Key=sk-1"]\n', "judges.a.header: secrets are not kept in files"),
        (ONE + 'meta-option = { api_key = "sk-1" }\n', "judges.a.meta-option: secrets are not kept in files"),
        (ONE + 'base-url = "http://me:sk-1@host/v1"\n', "judges.a.base-url: secrets are not kept in files"),
        (ONE + 'api-key-env = "SPCT_NOT_SET"\n', "judges.a.api-key-env: the environment has no 'SPCT_NOT_SET'"),
        (ONE + "api-key-env = 3\n", "judges.a.api-key-env: got 3; expected text"),
        (ONE + 'api-key-command = "/nowhere/at/all"\n', "judges.a.api-key-command: api-key-command failed"),
        (ONE + 'api-key-command = "true"\n', "judges.a.api-key-command: it printed nothing"),
        (ONE + 'api-key-env = "PATH"\napi_key_command = "true"\n', "got api-key-env and api_key_command; expected one"),
        (ONE + 'callers = "alice"\n', "judges.a.callers: got 'alice'; expected a list of names of keys"),
        (ONE + "callers = []\n", "judges.a.callers: got []; expected a list of names of keys"),
        (ONE + "callers = [1]\n", "judges.a.callers: got [1]; expected a list of names of keys"),
        ("shares = 3\n" + ONE, "shares: got int; expected a table"),
        ("[shares]\na = 0\n" + ONE, "shares.a: got 0; expected a number above 0"),
        ('[shares]\na = "2"\n' + ONE, "shares.a: got '2'; expected a number above 0"),
        ("[shares]\na = true\n" + ONE, "shares.a: got True; expected a number above 0"),
        ("[shares]\na = nan\n" + ONE, "shares.a: got nan; expected a number above 0"),
    ],
)
def test_whatever_is_wrong_is_said_with_its_key(tmp_path, text, told):
    with pytest.raises(InputError, match=re.escape(told)) as error:
        read(tmp_path, text)
    assert str(error.value).startswith(str(tmp_path / "serve.toml"))
    assert "sk-1" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.toml: cannot be read as TOML"):
        read_serve_file(tmp_path / "nowhere.toml", click.Context(serve))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    model = 'model = "scripted:script.py:judge"\n'
    (tmp_path / "serve.toml").write_text(
        f'port = 1\nout = "runs"\nk = 3\n[judges.a]\n{model}[judges.b]\n{model}k = 2\nout = "b-run"\n'
    )
    return tmp_path


def test_what_is_typed_goes_before_the_file_and_each_judge_has_its_run(folder):
    """Ended by the signal that it is sent once it listens: the runs are there by then."""
    with subprocess.Popen(
        [*SERVE, "--config", "serve.toml", "--port", "0"], cwd=folder, stderr=subprocess.PIPE
    ) as process:
        first = json.loads(process.stderr.readline())
        process.terminate()
        process.communicate(timeout=60)
    assert (first["event"], process.returncode) == ("listening", 0)
    assert not first["address"].endswith(":1")
    settings = {name: json.loads((folder / name / "settings.json").read_text())["k"] for name in ("runs/a", "b-run")}
    assert settings == {"runs/a": 3, "b-run": 2}
    assert not (folder / "runs" / "b").exists()


def serving_of(folder, monkeypatch, more):
    """What would be served by the file with ``more`` at its end."""
    monkeypatch.chdir(folder)
    with (folder / "serve.toml").open("a") as file:
        file.write(more)
    options = serve.make_context("serve", ["--config", "serve.toml"]).params
    return _serving({**options, "out": None}, Keys(), Limits(), Metrics(), JsonLog())


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("[judges.c]\n", "serve.toml: judges.c: judge 'grm' needs a model"),
        ('[judges.c]\nmodel = "gong:big"\n', "serve.toml: judges.c: model 'gong:big'"),
        ('[judges.c]\nmodel = "scripted:script.py:judge"\nk = 0\n', "serve.toml: judges.c: k is 0"),
        ("[shares]\nalice = 2\n", "serve.toml: shares and callers: got alice; expected names of keys (none)"),
        (
            '[judges.c]\nmodel = "scripted:script.py:judge"\ncallers = ["bob", "alice"]\n',
            "serve.toml: shares and callers: got alice, bob; expected names of keys (none)",
        ),
    ],
)
def test_what_cannot_be_served_is_said_with_its_judge(folder, monkeypatch, more, told):
    with pytest.raises(InputError, match=re.escape(told)):
        serving_of(folder, monkeypatch, more)


def test_judges_of_one_model_share_its_engine(folder, monkeypatch):
    another = '[judges.c]\nmodel = "scripted:script.py:judge"\nengine-option = { delay-s = 0.5 }\n'
    serving = serving_of(folder, monkeypatch, another)
    engines = [serving.judges[name].judges.first.engine for name in "abc"]
    assert engines[0] is engines[1] is not engines[2]
    assert [service.settings.k for service in serving.judges.values()] == [3, 2, 3]


def test_judges_with_one_meta_rm_share_it(folder, monkeypatch):
    more = "".join(
        f'[judges.{name}]\nmodel = "scripted:script.py:judge"\nmeta = "{meta}"\n'
        for name, meta in (("c", "random"), ("d", "random"), ("e", "oracle"))
    )
    metas = {name: judge.judges.first.meta for name, judge in serving_of(folder, monkeypatch, more).judges.items()}
    assert metas["a"] is None
    assert metas["c"] is metas["d"] is not metas["e"]


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_a_new_file_of_keys_is_its_owners_alone(tmp_path):
    done = subprocess.run(
        [*SERVE[:-1], "serve-key", "alice", "--keys", "keys"], cwd=tmp_path, capture_output=True, timeout=60, check=True
    )
    assert done.stdout.startswith(b"spct-")
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
