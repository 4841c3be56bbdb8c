"""A real GRPOTrainer whose only reward is the adapter: the example's tiny policy, a few steps."""

import importlib.util
import sys
from pathlib import Path

import pytest

from servers.spct_serve import SpctServe
from spct import GRM
from spct.adapters.trl import AsyncTRLReward, TRLReward

pytest.importorskip("trl")
EXAMPLES = Path(__file__).parents[2] / "examples"
STEPS = 14


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("trl_grpo", EXAMPLES / "trl_grpo.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["trl_grpo"] = module
    spec.loader.exec_module(module)
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other on a busy machine are slower than one
    yield module
    torch.set_num_threads(threads)
    del sys.modules["trl_grpo"]


def rewards_of_run(example, reward, folder):
    """The logged reward of each step."""
    trainer = example.grpo(reward, STEPS, folder, [], learning_rate=1e-2)
    trainer.train()
    logged = [row for row in trainer.state.log_history if "reward" in row]
    assert all(row["rewards/spct/mean"] == row["reward"] and row["spct/invalid"] == 0 for row in logged)
    return [row["reward"] for row in logged]


def test_the_reward_of_a_policy_rises_alike_in_process_and_behind_a_service(example, tmp_path):
    local = TRLReward(GRM(example.JUDGE, k=2))
    rewards = rewards_of_run(example, local, tmp_path)
    local.close()
    assert len(rewards) == STEPS
    assert sum(rewards[-3:]) > sum(rewards[:3]) + 5
    with SpctServe(example.JUDGE, "-k", "2") as server:
        served = AsyncTRLReward(server.url)
        assert rewards_of_run(example, served, tmp_path) == rewards
