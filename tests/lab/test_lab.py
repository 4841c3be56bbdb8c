"""The laboratory from end to end in miniature: a base that has seen one and two responses only, every stage, every table."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("matplotlib")

from benchmarks.spct_lab.collect import collect
from benchmarks.spct_lab.plots import draw
from benchmarks.spct_lab.results import results
from benchmarks.spct_lab.run import seed_directory
from benchmarks.spct_lab.tables import table_lines

ROOT = Path(__file__).parents[2]
MINIATURE = Path(__file__).parent / "miniature.py"


def test_every_stage_is_run_once_and_reported(tmp_path):
    own = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, str(MINIATURE), str(tmp_path)], env=own, check=True, timeout=280)
    report = json.loads((tmp_path / "seed-0" / "main" / "report.json").read_text())
    assert all(job["done"] for branch in report["branches"].values() for job in branch["jobs"])
    found = results({0: collect(seed_directory(tmp_path, 0))})
    assert found["items"] == 12 and found["singles"] == 6
    benched = report["branches"]["main"]["bench"]["items"]["points"]
    greedy = {row["model"]: row["strict"]["value"] for row in benched if row["vote"] == "greedy"}
    for model, accuracy in greedy.items():
        assert found["stages"][model]["greedy/1"]["correct"]["value"] == pytest.approx(accuracy, abs=1e-5)
    votes = {(row["model"], row["vote"], row["k"]): row["strict"]["value"] for row in benched}
    assert found["voting"]["rl"]["2"]["correct"]["value"] == pytest.approx(votes["rl", "plain", 2], abs=1e-5)
    assert found["guided"]["2"]["correct"]["value"] == pytest.approx(votes["rl", "guided", 2], abs=1e-5)
    summed = found["sums"]["rl"]["added"]["plain/2"]
    assert summed["own"]["correct"] == found["voting"]["rl"]["2"]["correct"]
    change = summed["computed"]["correct"]["value"] - summed["own"]["correct"]["value"]
    assert summed["difference"]["value"] == pytest.approx(change, abs=2e-6)
    beta = found["ablations"]["beta-0"]["against"]
    assert beta["sft"]["greedy/1"]["difference"]["value"] == 0.0  # the same model: its RFT is not done again
    for vote in ("greedy/1", "plain/1"):
        change, own = (beta["rl"][vote][name]["value"] for name in ("difference", "correct"))
        assert change == pytest.approx(own - found["stages"]["rl"][vote]["correct"]["value"], abs=1e-5)
    assert set(found["ablations"]) == {"beta-0"}
    titles = [line.removeprefix("### ") for line in table_lines(found) if line.startswith("### ")]
    assert len(titles) == 14  # all but what was not run
    assert not {"Bases of more weights", "Adaptive k", "Juries of three bases"} & set(titles)
    draw(found, tmp_path / "plots")
    drawn = {path.stem: path.read_text() for path in (tmp_path / "plots").iterdir()}
    assert set(drawn) == {"ablations", "meta", "questions", "rl", "skills", "stages", "voting"}
    assert all(row["claim"] in drawn["questions"] for row in found["questions"].values())
    assert all(name in drawn["skills"] for name in found["skills"]["0"])
    assert "votes weighed by the rating" in drawn["meta"]
    draw({**found, "skills": {"0": {}}}, tmp_path / "unmeasured")
