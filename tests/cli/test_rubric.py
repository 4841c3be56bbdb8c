"""A rubric on the command line: judged, kept, shown, voted on again, benched."""

import json
import re

import pytest
from click.testing import CliRunner

from rubrics.samples import written
from spct.cli import spct
from spct.errors import InputError, ResumeRefusedError

SCRIPT = """
def judge(request, j):
    text = request.messages[-1].content
    first = text.index("[Begin response") < text.index("good", text.index("[Begin response")) < text.index("bad")
    good, bad = ("5", "2") if "right?" in text else ("0", "1") if "not know?" in text else ("1", "3")
    said = ", ".join([good, bad] if first else [bad, good])
    return f"#### Analysis\\nsample {request.seed + j}\\n#### Scores\\n\\\\boxed{{{said}}}"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    rows = [{"id": f"q{n}", "prompt": "help", "responses": ['{"reply": "good"}', "bad"], "best": 0} for n in range(3)]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    written(tmp_path)
    return tmp_path


def run(*arguments, code=0):
    done = CliRunner().invoke(spct, [*map(str, arguments)], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    assert done.return_value in (code, None), done.output
    return done.output if "--json" not in arguments else done.stdout


def judging(folder, *more):
    model = f"scripted:{folder / 'script.py'}:judge"
    return ["judge", folder / "items.jsonl", "--model", model, "--rubric", folder / "rubric.yaml", "-k", 2, *more]


def test_a_run_by_a_rubric_is_kept_resumed_shown_and_voted_on(folder):
    out = folder / "run"
    rows = [json.loads(row) for row in run(*judging(folder, "--out", out, "--json")).splitlines()]
    assert [row["best"] for row in rows] == [0, 0, 0]
    table = rows[0]["criteria"]
    assert (table["points"], table["passed"], table["missing"]) == ([7.0, 0.75], [True, False], [])
    assert [(c["id"], c["valid"], c["worth"]) for c in table["criteria"]] == [
        ("correct", 2, [1.0, 0.25]), ("jargon", 2, [0.0, 1.0]), ("tone", 2, [1.0, 0.0]),
        ("short", 1, [1.0, 1.0]), ("valid", 1, [1.0, 0.0]),
    ]  # fmt: skip
    again = run(*judging(folder, "--out", out, "--json", "--resume"))
    assert [json.loads(row) for row in again.splitlines()] == rows
    shown = run("show", out, "q1")
    assert re.search(r"correct +3 +2/2 +5 \(1.00\) passes +2 \(0.25\) fails", shown)
    assert "judgment 1, criterion jargon" in shown and "judgment 0, criterion short" in shown
    assert json.loads(run("show", out, "q1", "--json"))["verdict"] == rows[1]
    assert [json.loads(row) for row in run("vote", out, "--json").splitlines()] == rows
    one = json.loads(run("vote", out, "-k", 1, "--json").splitlines()[0])
    assert [c["valid"] for c in one["criteria"]["criteria"]] == [1] * 5


def test_an_export_has_the_worth_by_criterion(folder):
    run(*judging(folder, "--out", folder / "run"))
    run("export", folder / "run", "--rows", "responses", "--to", folder / "rows.jsonl")
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    assert [rows[0][key] for key in ("points", "passed", "worth_correct", "worth_jargon")] == [7, "yes", 1, 0]
    assert [rows[1][key] for key in ("points", "passed", "worth_correct", "worth_jargon")] == [0.75, "no", 0.25, 1]


def test_a_run_goes_on_under_the_same_rubric_only(folder):
    out = folder / "run"
    run(*judging(folder, "--out", out))
    path = folder / "rubric.yaml"
    path.write_text(path.read_text().replace("weight: 3", "weight: 4"))
    with pytest.raises(ResumeRefusedError, match=r"rubric\.criteria: .*'weight': 3.* in the run, .*'weight': 4.* now"):
        run(*judging(folder, "--out", out, "--resume"))


def test_bench_grades_by_the_shares(folder):
    model = f"scripted:{folder / 'script.py'}:judge"
    arguments = ["--data", folder / "items.jsonl", "--model", model, "--rubric", folder / "rubric.yaml", "-k", 2]
    found = json.loads(run("bench", "items", *arguments, "--out", folder / "bench", "--no-plots", "--json"))
    assert "criteria" not in found
    (result,) = found["runs"] if "runs" in found else found["results"]
    assert "rubric scripted" in result["label"]


def test_what_cannot_be_with_a_rubric(folder):
    with pytest.raises(InputError, match="--judge pairwise knows no rubric"):
        run(*judging(folder, "--judge", "pairwise"))
    with pytest.raises(InputError, match="the judge rubric takes no meta RM|takes no meta RM"):
        run(*judging(folder, "--meta", "random:1"))
