"""A whole training step: random order, few connections, duplicates and callers that go away; in process and over HTTP."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[2]
SPCT = Path(sys.executable).parent / "spct"


@pytest.fixture
def address():
    """A running ``spct serve`` whose judge is the benchmark's."""
    command = [SPCT, "serve", "--model", "scripted:benchmarks/cohorts.py:scores", "--port", "0", "--quiet"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        try:
            yield json.loads(server.stderr.readline())["address"]
        finally:
            server.terminate()


def step(*arguments):
    """What came of 512 rollouts of 64 groups."""
    command = [sys.executable, "-m", "benchmarks.cohorts", "--groups", "64", "--connections", "32"]
    command += ["--duplicates", "0.05", "--disconnects", "0.05", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(done.stdout)
    assert (outcome["rollouts"], outcome["calls"], outcome["rewards"]) == (512, 538, 538)
    assert (outcome["wrong"], outcome["partial"], outcome["refused"]) == (0, 0, {})
    assert outcome["disconnects"] > 0
    assert outcome["asked_again"] > 0
    return outcome


def test_every_rollout_gets_the_reward_computed_offline():
    assert step()["judged"] == 64


def test_every_rollout_gets_it_over_http(address):
    outcome = step("--url", address)
    lines = urlopen(f"{address}/metrics").read().decode().splitlines()
    count = {line.partition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}
    assert count['spct_verdicts_total{outcome="winner"}'] + count['spct_verdicts_total{outcome="tied"}'] == 64
    gone = count.get('spct_requests_total{route="/v1/reward",status="499"}', 0)
    assert 0 < gone <= outcome["disconnects"]  # the rest went before their request was sent
    assert (count["spct_cohorts_open"], count["spct_rollouts_held"]) == (0, 0)
