"""A whole training step in process: random order, few connections, duplicates and callers that go away."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_rollout_of_a_step_gets_the_reward_computed_offline():
    command = [sys.executable, "-m", "benchmarks.cohorts", "--groups", "64", "--connections", "32"]
    command += ["--duplicates", "0.05", "--disconnects", "0.05"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(done.stdout)
    assert (outcome["rollouts"], outcome["calls"], outcome["rewards"]) == (512, 538, 538)
    assert (outcome["wrong"], outcome["partial"], outcome["refused"], outcome["judged"]) == (0, 0, {}, 64)
