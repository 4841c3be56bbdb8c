"""Defaults from files, profiles and the environment, and what goes before what."""

import json

import pytest
from click.testing import CliRunner

from spct.cli import spct
from spct.cli.defaults import default_map, found_defaults
from spct.errors import InputError

SCRIPT = """
from spct.engines.scripted import judgment_text

def judge(request, j):
    return judgment_text([8, 3])
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project folder that the process is in, and a configuration folder of the user's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    project = tmp_path / "project"
    (project / "below").mkdir(parents=True)
    (tmp_path / "own" / "spct").mkdir(parents=True)
    (project / "script.py").write_text(SCRIPT)
    (project / "items.jsonl").write_text('{"prompt": "q", "responses": ["a", "b"]}\n')
    monkeypatch.chdir(project)
    return project


def own(folder, text):
    (folder.parent / "own" / "spct" / "spct.toml").write_text(text)


def run(*arguments, **env):
    done = CliRunner().invoke(spct, list(arguments), env=env, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.stdout


def held(command, **env):
    """The options of a command that are not as built in, with their sources."""
    rows = [line.split() for line in run("config", command, **env).splitlines()[2:]]
    return {row[1]: (row[2], " ".join(row[3:])) for row in rows if row[3:] != ["built", "in"]}


def test_files_profiles_and_the_environment_in_order(folder, monkeypatch):
    (folder / "spct.toml").write_text(
        'model = "openai:project"\nseed = 1\ntemplate = "judge"\n[judge]\nk = 3\n[profiles.fast]\nseed = 2\n'
        "[profiles.fast.judge]\nk = 4\n"
    )
    own(folder, 'seed = 7\nconcurrency = 9\n[bench]\nk = 8\n[profiles.fast]\ntemplate = "grm"\n')
    project, mine = str(folder / "spct.toml"), str(folder.parent / "own" / "spct" / "spct.toml")
    assert held("judge") == {
        "--model": ("openai:project", project), "--seed": ("1", project), "--template": ("judge", project),
        "-k": ("3", project), "--concurrency": ("9", mine),
    }  # fmt: skip
    assert held("bench")["-k"] == ("8", mine)
    monkeypatch.chdir(folder / "below")  # a file above is found
    assert held("judge", SPCT_PROFILE="fast") == {
        "--model": ("openai:project", project), "--seed": ("2", f"{project} (profile fast)"), "--concurrency": ("9", mine),
        "--template": ("judge", project), "-k": ("4", f"{project} (profile fast)"),
    }  # fmt: skip
    assert held("judge", SPCT_JUDGE_K="5")["-k"] == ("5", "$SPCT_JUDGE_K")


def judged_k(*options, **env):
    return json.loads(run("judge", "items.jsonl", "--json", *options, **env))["k"]


def test_the_defaults_are_what_a_command_goes_by(folder):
    (folder / "pyproject.toml").write_text(
        f'[tool.spct]\nmodel = "scripted:{folder}/script.py:judge"\n[tool.spct.judge]\nk = 3\nlora = "x"\n'
        "[tool.spct.profiles.more.judge]\nk = 6\n"
    )
    (folder / "pyproject.toml").write_text((folder / "pyproject.toml").read_text().replace('lora = "x"\n', ""))
    run("config", "trust")  # a script of its own is code
    assert judged_k() == 3
    assert judged_k(SPCT_JUDGE_K="4") == 4
    assert judged_k("-k", "5", SPCT_JUDGE_K="4") == 5
    done = CliRunner().invoke(spct, ["--profile", "more", "judge", "items.jsonl", "--json"], standalone_mode=False)
    assert json.loads(done.stdout)["k"] == 6


def test_one_value_of_an_option_that_may_be_repeated(folder):
    (folder / "spct.toml").write_text('model = "openai:a"\n[judge]\nmap = "prompt=Frage"\n[train.sft]\nepochs = 2\n')
    nested = default_map(found_defaults(spct, folder, None))
    assert nested["judge"] == {"map": ["prompt=Frage"], "model": ["openai:a"]}
    assert nested["bench"] == {"model": ["openai:a"]}
    assert nested["train"] == {"sft": {"epochs": 2}}


BAD = [
    ("modle = 'x'", "spct.toml: got 'modle', which is no option there; did you mean model?"),
    ("[jduge]\nk = 1", "got the table [jduge], which is no command; did you mean [judge]?"),
    ("[judge]\nq = 1", "spct.toml, [judge]: got 'q', which is no option there"),
    ("[train.judge]\nk = 1", "got the table [train.judge], which is no command"),
    ("api-key = 'sk-1'", "got api-key; keys are not kept in files"),
    ("[judge]\napi_key = 'sk-1'", "got api_key; keys are not kept in files"),
    ("api-key-command = 'pass show x'", "only your own file may name a command to run"),
    ("[judge]\nk = [1]", "k: got list; expected text, a number"),
    ("[judge]\ntemplate = ['a']", "template: got a list; expected one value"),
    ("model = ", "spct.toml: cannot be read as TOML"),
    ("profiles = 3", "profiles: expected a table for each"),
]


@pytest.mark.parametrize(("text", "expected"), BAD)
def test_bad_files(folder, text, expected):
    (folder / "spct.toml").write_text(text + "\n")
    with pytest.raises(InputError) as caught:
        run("config")
    assert expected in str(caught.value)
    assert "sk-1" not in str(caught.value)


def test_a_profile_that_is_not_there(folder):
    with pytest.raises(InputError, match="no profile of this name in any file; no file has a profile"):
        run("--profile", "x", "config")
    (folder / "spct.toml").write_text("[profiles.fast]\nk = 1\n")
    with pytest.raises(InputError, match="expected one of fast"):
        run("--profile", "x", "config")


def test_a_key_is_what_a_command_prints_and_is_never_shown(folder, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    own(folder, "api-key-command = 'echo sk-printed'\n")
    key = default_map(found_defaults(spct, folder, None))["judge"]["api_key"]
    assert key() == "sk-printed"
    assert "sk-printed" not in run("config", "judge") and "(what a command prints)" in run("config", "judge")
    assert "sk-typed" not in run("config", "judge", SPCT_JUDGE_API_KEY="sk-typed")
    own(folder, "api-key-command = 'false'\n")
    with pytest.raises(InputError, match="api-key-command failed"):
        default_map(found_defaults(spct, folder, None))["judge"]["api_key"]()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    assert default_map(found_defaults(spct, folder, None))["judge"]["api_key"]() is None


def test_without_files_everything_is_built_in(folder):
    assert run("config").splitlines()[0] == "files read: none"
    assert run("config").splitlines()[-1] == "every option has the default that is built in"
    with pytest.raises(InputError, match="got 'judg', which is no command"):
        run("config", "judg")
