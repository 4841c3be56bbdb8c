import json

from click.testing import CliRunner

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
        f"imported 3 judgments of 1 items, 1 of them invalid, k = 3 into {out}; see it with: spct show {out}\n"
    )
    store = RunStore.open(tmp_path / "run")
    assert [judgment.scores for judgment in store.history(0)] == [(9, 4), None, (8, 5)]
    assert [row["totals"] for _, row in store.verdict_rows()] == [[17, 9]]


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
