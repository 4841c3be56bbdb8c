"""The reward clients of verl and OpenRLHF, their own code, against a live ``spct serve``.

    pip download --no-deps verl==0.9.1 openrlhf==0.11.2 && unzip ...      # neither needs to be installed
    python -m benchmarks.trainer_clients verl PATH_OF_VERL                # needs ray, tensordict, hydra-core
    python -m benchmarks.trainer_clients openrlhf PATH_OF_OPENRLHF

Each starts a service with the rehearsal judge, sends groups of rollouts through the trainer's code, and compares the rewards
that come out with those of the same judge in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spct import GRM
from spct.adapters.source import reward_source
from spct.client import RewardClient

ROOT = Path(__file__).parent.parent
JUDGE = f"scripted:{ROOT / 'examples' / 'letter_judge.py'}:judge"
K = 2
PROMPTS = ["write me a tree", "tell me the sea", "draw a bee", "give me an eel"]
ANSWERS = ["eeee", "eels see", "abc", "trees"]


@contextmanager
def service(port: int = 8766) -> Iterator[str]:
    """A live service's address."""
    program = [sys.executable, "-c", "from spct.cli import main; main()"]
    command = [*program, "serve", "--model", JUDGE, "-k", str(K), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        with RewardClient(url) as client:
            print("service:", client.health())
        yield url
    finally:
        process.terminate()
        process.wait()


def expected() -> list[list[float]]:
    """The reward of each answer to each prompt, judged in this process."""
    source = reward_source(GRM(JUDGE, k=K))

    async def all_groups() -> list[list[float]]:
        rollouts = [[source.arollout_reward(p, a, size=len(ANSWERS)) for a in ANSWERS] for p in PROMPTS]
        return [[found.reward for found in await asyncio.gather(*group)] for group in rollouts]

    return source.run(all_groups())


def compare(found: list[list[float]]) -> None:
    """Print both and stop with an error where they differ."""
    for prompt, there, here in zip(PROMPTS, found, expected(), strict=True):
        print(f"{prompt!r}: {there} (in process: {here})")
        if there != here:
            sys.exit("the rewards differ")
    print(f"{len(PROMPTS) * len(ANSWERS)} rewards are equal")


def verl(path: Path, *, manager: bool) -> None:
    """verl's RewardLoopManager with two Ray workers, over verl's own configuration."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(path), str(ROOT), os.environ.get("PYTHONPATH", "")])
    sys.path[:0] = [str(path), str(ROOT / "examples")]
    import ray
    from hydra import compose, initialize_config_dir
    from trl_grpo import letter_tokenizer
    from verl.experimental.reward_loop.reward_loop import RewardLoopManager

    tokenizer = letter_tokenizer()
    with service() as url, tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        overrides = [
            f"actor_rollout_ref.model.path={folder}",
            "reward.num_workers=2",
            "reward.custom_reward_function.path=pkg://spct.adapters.verl",
            "reward.custom_reward_function.name=compute_score",
            f"+reward.custom_reward_function.reward_kwargs.url={url}",
            f"+reward.custom_reward_function.reward_kwargs.group_size={len(ANSWERS)}",
        ]
        if manager:
            overrides += [
                "reward.reward_manager.source=importlib",
                "reward.reward_manager.name=GroupRewardManager",
                "reward.reward_manager.module.path=pkg://spct.adapters.verl_manager",
            ]
        with initialize_config_dir(str(path / "verl" / "trainer" / "config"), version_base=None):
            config = compose("ppo_trainer", overrides=overrides)
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        try:
            scored = RewardLoopManager(config).compute_rm_score(verl_batch(tokenizer, manager=manager))
        finally:
            ray.shutdown()
    rewards = scored.batch["rm_scores"].sum(-1).tolist()
    print("reward_extra_info:", {key: scored.non_tensor_batch[key].tolist()[:4] for key in ("members", "valid")})
    compare([rewards[i : i + len(ANSWERS)] for i in range(0, len(rewards), len(ANSWERS))])


def verl_batch(tokenizer: Any, *, manager: bool) -> Any:
    """A step's rollouts as verl's trainer holds them: padded tokens, and the data set's row beside each."""
    import numpy as np
    import torch
    from tensordict import TensorDict
    from verl import DataProto

    rows = [(prompt, answer) for prompt in PROMPTS for answer in ANSWERS]
    prompts = tokenizer([p for p, _ in rows], return_tensors="pt", padding=True)
    responses = tokenizer([a for _, a in rows], return_tensors="pt", padding=True, padding_side="right")
    tensors = {
        "prompts": prompts.input_ids,
        "responses": responses.input_ids,
        "attention_mask": torch.cat([prompts.attention_mask, responses.attention_mask], dim=1),
    }
    turns = np.empty(len(rows), dtype=object)
    turns[:] = [[{"role": "user", "content": p}] for p, _ in rows]
    known = {"index": 0} if manager else {}
    columns = {
        "data_source": np.array(["letters"] * len(rows), dtype=object),
        "reward_model": np.array([{"ground_truth": ""}] * len(rows), dtype=object),
        "extra_info": np.array([dict(known) if manager else {"question": p} for p, _ in rows], dtype=object),
    }
    if manager:
        columns |= {"raw_prompt": turns, "uid": np.array([f"uid-{p}" for p, _ in rows], dtype=object)}
    return DataProto(batch=TensorDict(tensors, batch_size=len(rows)), non_tensor_batch=columns)


def openrlhf(path: Path) -> None:
    """OpenRLHF's SingleTurnAgentExecutor over a generator that answers from a list: by address, then by reward file."""
    for name in ("openrlhf", "openrlhf.utils"):  # their __init__ imports the whole trainer
        package = types.ModuleType(name)
        package.__path__ = [str(path.joinpath(*name.split(".")))]
        sys.modules[name] = package
    sys.path.insert(0, str(ROOT / "examples"))
    from openrlhf.utils.agent import SingleTurnAgentExecutor
    from trl_grpo import letter_tokenizer

    tokenizer = letter_tokenizer()

    class Generator:
        """Stands for the vLLM engine: the next answer as tokens."""

        def __init__(self) -> None:
            self.answers = [a for _ in PROMPTS for a in ANSWERS]

        async def generate(self, prompt_ids: Any, params: Any, multi_modal_data: Any = None) -> Any:
            tokens = tokenizer(self.answers.pop(0))["input_ids"]
            choice = types.SimpleNamespace(token_ids=tokens, finish_reason="stop", logprobs=None)
            return types.SimpleNamespace(outputs=[choice])

    async def rollouts(endpoint: str) -> list[list[float]]:
        executor, generator = SingleTurnAgentExecutor(endpoint), Generator()
        params = types.SimpleNamespace(max_tokens=16, logprobs=None)
        outputs = await asyncio.gather(
            *[executor.execute(p, None, params, 128, tokenizer, generator) for p in PROMPTS for _ in ANSWERS]
        )
        flat = [one[0] if isinstance(one, list) else one for one in (output["reward"] for output in outputs)]
        return [flat[i : i + len(ANSWERS)] for i in range(0, len(flat), len(ANSWERS))]

    with service() as url:
        print("by address:")
        compare(asyncio.run(rollouts(f"{url}/v1/openrlhf/reward?size={len(ANSWERS)}&run=r1")))
        print("by reward file:")
        os.environ["SPCT_URL"] = url
        compare(asyncio.run(rollouts(str(ROOT / "examples" / "openrlhf_reward.py"))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("trainer", choices=["verl", "openrlhf"])
    parser.add_argument("path", type=Path, help="the unpacked wheel's folder that holds the package")
    options = parser.parse_args()
    if options.trainer == "openrlhf":
        openrlhf(options.path)
        return
    for manager in (False, True):
        print("with GroupRewardManager:" if manager else "with verl's naive manager:")
        verl(options.path, manager=manager)


if __name__ == "__main__":
    main()
