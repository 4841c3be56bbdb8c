"""Two processes on the CPU (gloo) train what one does, up to the rounding of a sum in another order."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from spct.recipe import load_recipe, parse_recipe
from spct.train.meta.recipe import MetaRecipe
from spct.train.meta.run import train_meta
from spct.train.sft.recipe import SftRecipe
from spct.train.sft.run import run_sft
from train import forked, meta_world, small

LAUNCH = {
    "compute_environment": "LOCAL_MACHINE",
    "distributed_type": "MULTI_GPU",
    "use_cpu": True,
    "num_machines": 1,
    "num_processes": 2,
    "machine_rank": 0,
    "main_process_port": 0,
    "mixed_precision": "no",
}


def sft(folder, values, launch):
    (folder / "sft.yaml").write_text(yaml.safe_dump({**values, "out": str(folder / "two")}))
    (folder / "launch.yaml").write_text(yaml.safe_dump(launch))
    command = [str(Path(sys.executable).parent / "spct"), "train", "sft", str(folder / "sft.yaml"), "--json"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command += ["--launch", str(folder / "launch.yaml")]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=560)


@pytest.mark.timeout(600)
def test_two_processes_match_one(tmp_path):
    small.model(tmp_path)
    small.trajectories(tmp_path, 7)  # shared out unevenly in every epoch
    values = small.recipe(tmp_path, micro_batch=1)
    report = run_sft(parse_recipe(SftRecipe, values), tmp_path / "one")
    done = sft(tmp_path, values, LAUNCH)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("6 steps of 4") == 1  # one of them speaks
    assert small.apart(tmp_path / "base", tmp_path / "one/model", tmp_path / "two/model") < 1e-3
    losses = [[row["loss"] for row in r["log"] if "loss" in row] for r in (report, json.loads(done.stdout))]
    assert len(losses[0]) == 6
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_two_processes_match_one_in_the_meta_rm(tmp_path):
    """Also what it is held out by: 2 processes share an odd number of judgments."""
    small.model(tmp_path)
    meta_world.run(tmp_path, count=22, k=5)
    recipe = tmp_path / "meta.yaml"
    values = {"model": str(tmp_path / "base"), "runs": str(tmp_path / "run"), "heldout": 0.25, "learning_rate": 1e-2}
    sizes = {"batch": 8, "micro_batch": 2, "steps": 6, "save_every": 3, "log_every": 1, "device": "cpu"}
    recipe.write_text(yaml.safe_dump(values | sizes))
    one = train_meta(load_recipe(MetaRecipe, recipe, {}), tmp_path / "one")
    said = forked.together(tmp_path, "train", "meta", recipe, "--out", tmp_path / "two")
    two = json.loads((tmp_path / "two" / "report.json").read_text())
    assert "6 steps" in said[0] and "steps" not in said[1]  # one of them speaks
    assert one["heldout"]["judgments"] % 2 == 1
    assert two["heldout"] == one["heldout"] and two["best_step"] == one["best_step"]
    assert two["figures"] == pytest.approx(one["figures"], abs=1e-3)
    assert two["curves"] == one["curves"]
    steps = [[(row["loss"], row["grad_norm"]) for row in report["log"] if "loss" in row] for report in (one, two)]
    assert len(steps[0]) == 6
    assert steps[1] == [pytest.approx(row, rel=1e-3) for row in steps[0]]
    assert small.apart(tmp_path / "base", tmp_path / "one/model", tmp_path / "two/model") < 1e-3


@pytest.mark.timeout(600)
def test_fewer_processes_than_asked_for_are_not_taken_silently(tmp_path):
    done = sft(tmp_path, small.recipe(tmp_path), LAUNCH | {"distributed_type": "MULTI_CPU"})
    assert done.returncode == 3
    assert "launch.yaml asks for 2 processes and accelerate started 1; on CPUs, write" in done.stderr
    assert not (tmp_path / "two").exists()
