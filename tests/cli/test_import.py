import json
import random
from typing import Any

import pytest
from click.testing import CliRunner

from spct.bench.scoring.results import score_run
from spct.bench.scoring.stored import open_stored
from spct.bench.suites.grading import means_of
from spct.cli import spct
from spct.errors import InputError
from spct.run import RunStore

ROW = {
    "id": "primes",
    "prompt": "Name a prime.",
    "responses": ["11", "12"],
    "best": 0,
    "judgments": [{"scores": [9, 4], "order": [1, 0]}, {"scores": None, "error": "refused"}, {"scores": [8, 5]}],
}


def test_a_recording_becomes_a_run(tmp_path):
    (tmp_path / "recorded.jsonl").write_text(json.dumps(ROW))
    out = str(tmp_path / "run")
    done = CliRunner().invoke(
        spct, ["import", "jsonl", str(tmp_path / "recorded.jsonl"), "--out", out, "--option", "model=mine"]
    )
    assert done.exit_code == 0
    assert done.output == (
        f"imported 3 judgments of 1 items, 1 of them invalid (33.3%), k = 3 into {out}; see it with: spct show {out}\n"
    )
    store = RunStore.open(tmp_path / "run")
    assert [judgment.scores for judgment in store.history(0)] == [(9, 4), None, (8, 5)]
    assert [row["totals"] for _, row in store.verdict_rows()] == [[17, 9]]


def invoke(*arguments):
    return CliRunner().invoke(spct, list(map(str, arguments)), catch_exceptions=False).output


def test_a_score_that_is_missing_leaves_its_response_the_mean_of_the_others_everywhere(tmp_path):
    """Import, vote, show, a guided vote and the benchmark: one vote, on the scale of the scores, and one count."""
    four = {"id": "a", "prompt": "q", "responses": ["w", "x", "y", "z"], "best": 1, "subset": "s"}
    scores = [[10, 10, 1, 2], [10, 10, None, 2], [None, 9, 1, 2], [10, 10, 1, None]]
    row = four | {"judgments": [{"scores": found} for found in scores]}
    (tmp_path / "recorded.jsonl").write_text(json.dumps(row))
    run = tmp_path / "run"
    said = invoke("import", "jsonl", tmp_path / "recorded.jsonl", "--out", run)
    assert "4 judgments of 1 items, 18.8% of their scores missing, k = 4" in said
    means, best = [10, 9.75, 1, 2], 0
    for voted in [
        invoke("vote", run, "--json"),
        invoke("vote", run, "--json", "--rule", "sum"),
        invoke("show", run, "--json"),
    ]:
        found = json.loads(voted.splitlines()[0])
        assert (found["means"], found["best"]) == (means, best)
    assert "judgments   4, 18.8% of their scores missing: no_box 3" in invoke("vote", run, "--summary")
    stored = open_stored(run)
    assert means_of(stored.ballots["a"]) == tuple(means)
    assert score_run(stored).spent["invalid_share"] == 3 / 16
    invoke("meta", run, "--meta", "random")
    guided = json.loads(invoke("vote", run, "--json", "--meta", "random:0", "--k-meta", 4).splitlines()[0])
    assert guided["means"] == means
    assert json.loads(invoke("show", run, "--json").splitlines()[0])["means"] == means
    first = json.loads(invoke("vote", run, "--json", "--k", 2).splitlines()[0])
    assert first["means"] == list(means_of(stored.ballots["a"][:2]))


def test_vote_and_benchmark_agree_whatever_is_missing(tmp_path):
    """Items of two to five responses, one to six judgments each: single scores, whole judgments and items are missing."""
    dice = random.Random(7)
    rows: list[dict[str, Any]] = []
    for i in range(60):
        n = dice.randint(2, 5)
        judgments: list[Any] = [
            {"scores": None if dice.random() < 0.1 else [dice.randint(1, 10) if dice.random() > 0.2 else None] * n}
            if dice.random() < 0.2
            else {"scores": [dice.randint(1, 10) if dice.random() > 0.2 else None for _ in range(n)]}
            for _ in range(dice.randint(1, 6))
        ]
        rows.append({"id": str(i), "prompt": f"q{i}", "responses": ["a"] * n, "best": 0, "judgments": judgments})
    (tmp_path / "recorded.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run = tmp_path / "run"
    invoke("import", "jsonl", tmp_path / "recorded.jsonl", "--out", run)
    stored = open_stored(run)
    voted = [json.loads(line) for line in invoke("vote", run, "--json").splitlines() if line.startswith("{")]
    assert len(voted) == 60
    for found in voted:
        means = means_of(stored.ballots[found["id"]])
        assert found["means"] == (None if means is None else list(means))
        assert all(1 <= mean <= 10 for mean in means or ())
    marks = [entry["scores"] for row in rows for entry in row["judgments"]]
    missing = [1 if scores is None else scores.count(None) / len(scores) for scores in marks]
    assert score_run(stored).spent["samples"] == len(marks)
    assert score_run(stored).spent["invalid_share"] == pytest.approx(sum(missing) / len(missing))
    share = f"{100 * sum(missing) / len(missing):.1f}% of their scores missing"
    assert f"judgments   {len(marks)}, {share}" in invoke("vote", run, "--summary")


def test_wrong_kinds_and_options_are_clear(tmp_path):
    path = tmp_path / "recorded.jsonl"
    path.write_text(json.dumps(ROW))
    for more, words in [(["nonsense"], "judgebench"), (["jsonl"], "nowhere")]:
        source = str(path) if more == ["nonsense"] else str(tmp_path / "nowhere")
        done = CliRunner().invoke(spct, ["import", *more, source, "--out", str(tmp_path / "run")])
        assert isinstance(done.exception, InputError)
        assert words in str(done.exception)
    done = CliRunner().invoke(spct, ["import", "jsonl", str(path), "--out", str(tmp_path / "run"), "--option", "x"])
    assert "NAME=VALUE" in str(done.exception)
