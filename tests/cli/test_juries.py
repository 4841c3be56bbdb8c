"""Several judges on the command line: a jury's file, escalation, joined runs, votes over some of them."""

import json
from dataclasses import replace
from typing import Any

import pytest

from cli.test_rubric import run
from rubrics.samples import REPLY, written
from spct.cli.judge import judge as judge_command
from spct.cli.judging import make_judge, settings_of
from spct.errors import InputError

SCRIPT = """
from spct.engines.scripted import judgment_text

def weak(request, j):
    first = request.messages[-1].content.index("GOOD") < request.messages[-1].content.index("POOR")
    easy = "EASY" in request.messages[-1].content
    return judgment_text([9, 2] if first or not easy else [2, 9], f"{request.seed + j}")  # else the one shown first

def strong(request, j):
    first = request.messages[-1].content.index("GOOD") < request.messages[-1].content.index("POOR")
    return judgment_text([8, 3] if first else [3, 8], f"{request.seed + j}")

def accepts(request, j):
    return judgment_text([int("GOOD" in request.messages[-1].content)], f"{request.seed + j}")

def accepts_all(request, j):
    return judgment_text([1], f"{request.seed + j}")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("juries")
    (path / "script.py").write_text(SCRIPT)
    rows = [{"id": f"q{n}", "prompt": "EASY" if n % 4 else "HARD", "responses": [f"GOOD {n}", f"POOR {n}"], "best": 0}
            for n in range(8)]  # fmt: skip
    (path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    jury = {"judges": [{"name": "weak", "model": model(path, "weak"), "k": 4},
                       {"name": "strong", "model": model(path, "strong"), "weight": 2}]}  # fmt: skip
    (path / "jury.yaml").write_text(json.dumps(jury))
    return path


def model(path, name):
    return f"scripted:{path / 'script.py'}:{name}"


def rows_of(text):
    return [json.loads(line) for line in text.splitlines()]


def test_a_jury_judges_and_is_voted_on_again(folder):
    out = folder / "jury"
    rows = rows_of(
        run("judge", folder / "items.jsonl", "--jury", folder / "jury.yaml", "-k", 2, "--out", out, "--json")
    )
    assert [juror["name"] for juror in rows[0]["jury"]["jurors"]] == ["weak", "strong"]
    assert [juror["valid"] for juror in rows[0]["jury"]["jurors"]] == [4, 2]
    assert {row["best"] for row in rows} == {0}
    assert run("show", out, "q1", "--full").count("\n  critique\n") == 6  # by the template of each juror
    assert rows_of(run("vote", out, "--json")) == rows
    alone = rows_of(run("vote", out, "--judges", "strong", "--json"))
    assert {tuple(row["means"]) for row in alone} == {(8, 3)}
    assert "jury of strong (weight 2), raw" in run("vote", out, "--judges", "strong", "--summary")
    shown = run("show", out, "q1")
    assert "judgment 1, judge strong" in shown and "the vote is of weak, strong" in shown
    again = run("judge", folder / "items.jsonl", "--jury", folder / "jury.yaml", "-k", 2, "--out", out, "--resume")
    assert "in the run directory already" in again


def test_several_models_are_a_jury(folder):
    asked = [
        "judge",
        folder / "items.jsonl",
        "--model",
        model(folder, "weak"),
        "--model",
        model(folder, "strong"),
        "-k",
        2,
    ]
    rows = rows_of(run(*asked, "--json"))
    jurors = rows[0]["jury"]["jurors"]
    assert [juror["name"].rpartition("-")[2] for juror in jurors] == ["weak", "strong"]
    assert rows[0]["means"] == [6.75, 4.25] and rows[1]["means"] == [8.5, 2.5]  # HARD: weak likes each first in turn
    with pytest.raises(InputError, match=r"--escalate hands on from one judge; got --model scripted:.*weak, scripted:"):
        run(*asked, "--escalate", model(folder, "strong"))
    with pytest.raises(InputError, match="expected models with different names"):
        run(*asked, "--model", model(folder, "weak"))
    with pytest.raises(InputError, match="estimate each judge of a jury by itself"):
        run(*asked, "--estimate")


def test_a_jury_of_yes_and_no_is_right_or_wrong_on_lone_labels(folder):
    rows = [{"id": f"l{n}", "prompt": "x", "responses": [text], "label": label}
            for n, (text, label) in enumerate([("GOOD", 1), ("POOR", 0), ("POOR", 1)])]  # fmt: skip
    (folder / "lone.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = folder / "lone" / "run"
    both = ["--model", model(folder, "accepts"), "--model", model(folder, "accepts_all"), "--template", "grm-single"]
    told = run("judge", folder / "lone.jsonl", *both, "-k", 1, "--out", out)
    assert "note:" not in told and "1 correct" in told  # GOOD; the jury is divided on both others
    assert "\nl0 " in run("show", out, "--filter", "correct")
    assert rows_of(run("runs", folder / "lone", "--json"))[0]["graded"] == 3
    assert "1 correct" in run("vote", out)
    assert "2 correct" in run("vote", out, "--judges", model_name(out, 0))


def model_name(out, place):
    """What the juror at ``place`` is called."""
    return json.loads((out / "settings.json").read_text())["jury"]["jurors"][place]["name"]


def test_a_command_that_asks_one_model_refuses_two(folder):
    with pytest.raises(InputError, match=r"--model: got embedded:a, embedded:b; expected one model here"):
        run("principles", "write", folder / "items.jsonl", "--model", "embedded:a", "--model", "embedded:b",
            "--out", folder / "none.jsonl")  # fmt: skip


def test_escalation_asks_the_second_where_the_first_is_unsure(folder):
    out = folder / "escalated"
    asked = ["--model", model(folder, "weak"), "--escalate", model(folder, "strong"), "--below", 0.9, "-k", 2]
    told = run("judge", folder / "items.jsonl", *asked, "--out", out)
    assert "2 of 8 items handed on (25.0%)" in told
    assert "judgments of first 16" in told and "second 4" in told
    rows = rows_of(run("vote", out, "--json"))
    assert [row["jury"]["escalated"] for row in rows] == [n % 4 == 0 for n in range(8)]


def test_runs_are_joined_and_put_in_a_curve(folder):
    for name in ("weak", "strong"):
        run("judge", folder / "items.jsonl", "--model", model(folder, name), "-k", 2, "--out", folder / name)
    run("jury", folder / "weak", folder / "strong", "--out", folder / "joined")
    curve = json.loads(run("vote", folder / "joined", "--escalate-curve", "--json"))
    assert (curve["first"], curve["first_accuracy"]["value"], curve["second_accuracy"]["value"]) == ("weak", 0.875, 1)
    assert "| weak, strong |" in run("vote", folder / "joined", "--agreement")
    swapped = json.loads(run("vote", folder / "joined", "--judges", "strong,weak", "--escalate-curve", "--json"))
    assert (swapped["first"], swapped["second"]) == ("strong", "weak")
    with pytest.raises(InputError, match="a run of one judge"):
        run("vote", folder / "weak", "--agreement")


def test_a_juror_may_judge_by_a_rubric(folder):
    written(folder, REPLY)
    (folder / "mixed.yaml").write_text(json.dumps({"comparable": "rank", "judges": [
        {"name": "plain", "model": model(folder, "strong")},
        {"name": "table", "model": model(folder, "strong"), "rubric": str(folder / "rubric.yaml"), "k": 1},
    ]}))  # fmt: skip
    rows = rows_of(run("judge", folder / "items.jsonl", "--jury", folder / "mixed.yaml", "-k", 2, "--json", code=0))
    assert rows[0]["jury"]["jurors"][1]["valid"] == 1 and rows[0]["best"] == 0


@pytest.mark.parametrize("text, said", [
    ("judges: []", "judges: a list should have at least 1 item"),
    ("judges: [{name: a, modell: x}]", "unknown key 'judges.0.modell'; did you mean 'model'"),
    ("judges: [{name: a, model: 'scripted:x.py:f', weight: 0}]", "judges.0.weight: input should be greater than 0"),
    ("judges: [{name: a, model: 'scripted:x.py:f', api_key_env: NO_SUCH_KEY}]", "judge 'a': the environment has no 'NO_SUCH_KEY'"),
    ("judges: [{name: a}]\ncomparable: best", "comparable: input should be 'raw'"),
    ("judges: [{name: a, judge: longest, weight: .inf}]", "judges.0.weight: input should be less than or equal to"),
    ("judges: [{name: a, judge: longest, weight: true}]", "judges.0.weight: input should be a valid number"),
    ("judges: [{name: a, judge: longest, k: true}]", "judges.0.k: input should be a valid integer"),
    ("judges: [{name: a, model: 'scripted:x.py:f'}]", r"jury.yaml: judge 'a': scripted model 'x.py:f': cannot import"),
    ("judges: [{name: a, judge: longest}]\nbelow: 0.5", "below is 0.5 and comparable is 'raw'; expected below"),
    ("judges: [{name: a, judge: longest}]\ncomparable: escalate", "below is None and comparable is 'escalate'"),
    ("judges: [" + "{name: a, judge: longest}, " * 101 + "]", "judges: a list should have at most 100 items"),
    ("judges: [", "line 1: not YAML"),
])  # fmt: skip
def test_what_is_wrong_with_a_jurys_file_is_said(text, said, folder, tmp_path):
    (tmp_path / "jury.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        run("judge", folder / "items.jsonl", "--jury", tmp_path / "jury.yaml")


@pytest.mark.parametrize("more, said", [
    (["--model", "scripted:x.py:f"], "--model and --jury are both given"),
    (["--escalate", "scripted:x.py:f"], "--jury and --escalate are both given"),
    (["--meta", "random:1"], "a jury takes no meta RM"),
])  # fmt: skip
def test_what_a_jury_cannot_be_with(more, said, folder):
    with pytest.raises(InputError, match=said):
        run("judge", folder / "items.jsonl", "--jury", folder / "jury.yaml", *more)


def test_a_service_shares_the_engines_of_its_jury_and_takes_no_options(folder):
    options = judge_command.make_context(
        "judge", [str(folder / "items.jsonl"), "--jury", str(folder / "jury.yaml")]
    ).params
    first: Any = make_judge(options, None)
    again: Any = make_judge(options, None, backend=first.engine, settings=settings_of(options))
    assert [m.judge.engine for m in again.members] == [m.judge.engine for m in first.members]
    with pytest.raises(InputError, match="have settings of their own; ask without options"):
        make_judge(options, None, backend=first.engine, settings=replace(settings_of(options), seed=1))


def test_no_meta_rm_rates_the_run_of_a_jury_or_by_a_rubric(folder):
    run("judge", folder / "items.jsonl", "--jury", folder / "jury.yaml", "-k", 1, "--out", folder / "unrated")
    with pytest.raises(InputError, match="is a run of a jury; a meta RM rates"):
        run("meta", folder / "unrated", "--meta", "random:1")
