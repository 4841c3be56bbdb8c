"""spct vote and spct meta as whole processes."""

import json
import re
import subprocess
import sys

import pytest

from spct.meta.llm import SHIPPED

SPCT = [sys.executable, "-c", "from spct.cli import main; main()"]
SCRIPT = """
from spct.engines.scripted import judgment_text

def judge(request, j):
    seed = request.seed + j
    return judgment_text([1 + seed % 9, 1 + seed // 11 % 9])
"""


def spct(*arguments, code=0):
    done = subprocess.run([*SPCT, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("vote")
    (path / "script.py").write_text(SCRIPT)
    rows = [{"id": f"q{n}", "prompt": f"question {n}", "responses": ["a", "b"], "best": n % 2} for n in range(10)]
    (path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


def judge(folder, *more, **kind):
    return spct("judge", folder / "items.jsonl", "--model", f"scripted:{folder / 'script.py'}:judge", *more, **kind)


@pytest.fixture(scope="module")
def run(folder):
    judge(folder, "-k", 8, "--out", folder / "run")
    return folder / "run"


def test_the_same_verdicts_as_judge(folder, run):
    assert spct("vote", run, "--json").stdout == judge(folder, "-k", 8, "--json").stdout
    assert spct("vote", run, "--k", 3, "--json").stdout == judge(folder, "-k", 3, "--json").stdout


def test_lines_and_summary_as_judge_shows_them(folder, run):
    judged, voted = judge(folder, "-k", 8).stdout.splitlines(), spct("vote", run).stdout.splitlines()
    assert voted[:11] == judged[:11]
    shown = "\n".join(voted)
    assert "vote        sum of scores over k = 8" in shown
    assert "10 items with a known best or label" in shown
    assert "correct (strict" in shown
    assert "if a tie earns 1/#tied" in shown
    assert spct("vote", run, "--summary").stdout.splitlines() == voted[11:]


def test_show_marks_the_judgments_that_a_meta_rm_let_into_the_vote(folder):
    out = folder / "shown"
    (verdict, *_) = map(
        json.loads, judge(folder, "-k", 4, "--meta", "random:3", "--json", "--out", out).stdout.splitlines()
    )
    row = json.loads(spct("show", out, "q0", "--json").stdout)
    rated = sorted(row["judgments"], key=lambda judgment: -judgment["rating"])
    assert [judgment["kept"] for judgment in rated] == [True, True, False, False]
    scores = [dict(zip(sorted(judgment["order"]), judgment["scores"], strict=True)) for judgment in rated[:2]]
    totals = [sum(score[i] for score in scores) for i in range(2)]
    assert totals == verdict["totals"] == row["verdict"]["totals"]
    text = spct("show", out, "q0", "--full").stdout
    assert text.count("left out of the vote") == 2
    assert f"meta RM   {rated[0]['rating']:.3g}, kept" in text


def test_show_tells_which_meta_rm_rated_when_by_what(folder):
    out = folder / "rated"
    judge(folder, "-k", 2, "--meta", "random:3", "--out", out)
    (folder / "rate.py").write_text("def rate(request, j):\n    return '\\\\boxed{7}'\n")
    spct("meta", out, "--meta", f"llm:scripted:{folder / 'rate.py'}:rate")
    by_lot, by_model = [line for line in spct("show", out).stdout.splitlines() if line.startswith("  session")]
    assert by_lot.endswith(", items 10, rated by random:3")
    assert re.search(
        r"20..-..-.. ..:..:.. UTC, spct \S+, python \S+, rated by llm:scripted:.*, temperature 0.0, .*, prompt soundness ",
        by_model,
    )
    texts = spct("show", out, "--templates").stdout
    assert all(line in texts for line in SHIPPED.read_text("utf-8").splitlines())


def test_rated_later_and_voted_at_any_k_meta(folder, run):
    done = spct("meta", run, "--meta", "random:1")
    assert "ratings     80 new, 0 from before" in done.stdout
    assert "ratings     0 new, 80 from before" in spct("meta", run, "--meta", "random:1").stdout
    for k_meta in (1, 4):
        guided = judge(folder, "-k", 8, "--meta", "random:1", "--k-meta", k_meta, "--json").stdout
        assert spct("vote", run, "--k-meta", k_meta, "--json").stdout == guided
    assert spct("vote", run, "--meta", "random:1", "--json").stdout == guided
    shown = spct("vote", run, "--meta", "random:1", "--summary").stdout
    assert "kept        40 judgments on 10 items, those a meta RM rates best" in shown
    assert "meta        random:1" in shown


def test_a_guided_run_is_voted_as_it_was_made(folder):
    out = folder / "guided"
    judged = judge(folder, "-k", 4, "--meta", "random:2", "--json", "--out", out).stdout
    assert spct("vote", out, "--json").stdout == judged
    assert spct("vote", out, "--meta", "none", "--json").stdout == judge(folder, "-k", 4, "--json").stdout
    refused = judge(folder, "-k", 4, "--out", out, "--resume", code=4)
    assert "meta: 'random:2' in the run, None now" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--k", "9"], "k is 9 and the run has 8 judgments an item"),
        (["--rule", "expected"], "sampled without log-probabilities"),
        (["--meta", "nobody"], "has no ratings by 'nobody'"),
    ],
)
def test_what_is_missing_is_said(run, arguments, message):
    assert message in spct("vote", run, *arguments, code=2).stderr


def test_k_meta_needs_ratings(folder):
    out = folder / "unrated"
    judge(folder, "-k", 2, "--out", out)
    assert "make them with spct meta" in " ".join(spct("vote", out, "--k-meta", 1, code=2).stderr.split())
    spct("meta", out, "--meta", "random:1")
    spct("meta", out, "--meta", "oracle")
    refused = spct("vote", out, "--k-meta", 1, code=2)
    assert "has ratings by oracle:reads-the-ground-truth, random:1; name one of them with --meta" in refused.stderr


def test_adaptive_saves_and_says_so(folder):
    out = folder / "adaptive"
    done = judge(folder, "-k", 8, "--adaptive", "--out", out)
    (line,) = [line for line in done.stdout.splitlines() + done.stderr.splitlines() if line.startswith("adaptive")]
    assert "of 80 planned judgments saved" in line
    assert line.endswith("settled at level 0.97 before k")
    voted = spct("vote", out).stdout
    assert line in voted
    assert "--resume" not in judge(folder, "-k", 8, "--adaptive", "--out", out, "--resume").stderr
    refused = judge(folder, "-k", 8, "--adaptive", "0.99", "--out", out, "--resume", code=4)
    assert "adaptive: 0.97 in the run, 0.99 now" in refused.stderr


def test_meta_options_are_checked(run):
    assert "expected NAME=VALUE" in spct("meta", run, "--meta", "random", "--meta-option", "x", code=2).stderr
    assert "takes no x" in spct("meta", run, "--meta", "random", "--meta-option", "x=1", code=2).stderr
