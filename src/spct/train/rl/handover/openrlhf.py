"""OpenRLHF (0.11): Parquet files, the reward file, and a script with the arguments for 1, 8 and 64 GPUs.

The arguments are the original GRPO of Eq 15: one update a batch, the mean over the tokens of each sequence, KL (k3) to the model
before training in the loss, advantages divided by the group's deviation. What differs from TRL: OpenRLHF shuffles the prompts of
all steps, and keeps no best checkpoint. Prompts are written as the text that the tokenizer's chat template makes of them, since
OpenRLHF takes "<image>" in a conversation for an image.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

import pyarrow as pa

from spct.data.output import write_text
from spct.errors import InputError
from spct.train.rl.handover import EXTRA, ITS_OWN, Trainer
from spct.train.rl.handover.folder import Prompts, write_rows
from spct.train.rl.handover.reward import truth_of
from spct.train.rl.prompts import Prompt
from spct.train.rl.recipe import RLRecipe

SCHEMA = pa.schema([("prompt", pa.string()), ("label", pa.string()), ("datasource", pa.string())])
SIZES: Mapping[int, Mapping[str, int]] = {
    1: {"nodes": 1, "gpus": 1, "engines": 1, "tensor_parallel": 1},
    8: {"nodes": 1, "gpus": 8, "engines": 4, "tensor_parallel": 2},
    64: {"nodes": 8, "gpus": 8, "engines": 16, "tensor_parallel": 4},
}
"""By number of GPUs: engines of vLLM and over how many GPUs each is split; all models share all GPUs."""

REWARD = '''"""The reward of this training: +1 for a correct judgment, -1 for any other (arXiv 2504.02495, Eq 11)."""

from pathlib import Path

from spct.adapters.openrlhf import rule_reward_func
from spct.train.rl.handover.reward import rule_reward

reward_func = rule_reward_func(rule_reward(Path(__file__).parent, TEMPLATES), END_OF_RESPONSE)
'''

LAUNCH = """#!/usr/bin/env bash
# bash launch.sh 1|8|64 [--argument ...]: train by OpenRLHF. For 64, first "ray start --head" on the first node and
# "ray start --address=HEAD:6379" on the others; this folder must be at the same place on all of them. Each needs
# OpenRLHF and spct[EXTRA].
set -euo pipefail
gpus="${1:?how many GPUs: 1, 8 or 64}"
shift
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
case "$gpus" in
SIZES
*) echo "launch.sh: expected 1, 8 or 64, got $gpus" >&2; exit 2 ;;
esac
exec python -m openrlhf.cli.train_ppo_ray "${size[@]}" \\
ARGUMENTS
  "$@"
"""


def write_openrlhf(recipe: RLRecipe, model: str, prompts: Prompts, out: Path) -> list[str]:
    """As in ``Trainer``."""
    write_rows(out / "train.parquet", SCHEMA, (_row(prompt, prompts) for prompt in prompts.train()))
    files = ["launch.sh", "reward.py", "train.parquet"]
    if prompts.heldout is not None:
        files.append("validation.parquet")
        write_rows(out / files[-1], SCHEMA, (_row(prompt, prompts) for prompt in prompts.validation()))
    reward = REWARD.replace("TEMPLATES", prompts.template_files)
    write_text(out / "reward.py", reward.replace("END_OF_RESPONSE", repr(prompts.encoder.ends)))
    sizes = [f"{gpus}) size=({' '.join(_sized(size))}) ;;" for gpus, size in SIZES.items()]
    lines = [f"  {' '.join(line)} \\" for line in arguments(recipe, model, prompts)]
    script = LAUNCH.replace("EXTRA", EXTRA).replace("SIZES", "\n".join(sizes)).replace("ARGUMENTS", "\n".join(lines))
    write_text(out / "launch.sh", script)
    return files


def arguments(recipe: RLRecipe, model: str, prompts: Prompts) -> list[list[str]]:
    """The recipe in OpenRLHF's words, an argument and its values each; paths are seen from the script."""
    given: dict[str, Any] = {
        "actor.model_name_or_path": quote(model),
        "data.prompt_dataset": '"$here/train.parquet"',
        "data.input_key": "prompt",
        "data.label_key": "label",
        "data.max_len": prompts.longest + recipe.max_new_tokens,
        "reward.remote_url": '"$here/reward.py"',
        "rollout.batch_size": recipe.batch,
        "rollout.n_samples_per_prompt": recipe.group,
        "rollout.temperature": recipe.temperature,
        "rollout.top_p": 1.0,
        "rollout.max_new_tokens": recipe.max_new_tokens,
        "rollout.micro_batch_size": recipe.micro_batch,
        "train.batch_size": recipe.sequences,  # one update a batch; OpenRLHF counts rollouts here
        "train.micro_batch_size": recipe.micro_batch,
        "train.max_epochs": 1,
        "train.num_episodes": 1,
        "train.seed": recipe.seed,
        "algo.advantage.estimator": "group_norm",
        "actor.policy_loss_type": "ppo",
        "actor.eps_clip": recipe.epsilon,
        "actor.loss_agg_mode": "seq-mean-token-mean",
        "actor.adam.lr": recipe.learning_rate,
        "actor.adam.betas": "0.9 0.999",
        "actor.adam.weight_decay": recipe.weight_decay,
        "actor.max_norm": recipe.max_grad_norm,
        "actor.lr_scheduler": recipe.schedule,
        # TRL's constant schedule has no warmup either
        "actor.lr_warmup_ratio": 0.0 if recipe.schedule == "constant" else recipe.warmup,
        "algo.kl.init_coef": recipe.beta,
        "algo.kl.estimator": "k3",
        "ds.zero_stage": 3,
        "vllm.gpu_memory_utilization": 0.5,
        "ckpt.output_dir": '"$here/model"',
        "ckpt.path": '"$here/checkpoints"',
        "ckpt.save_steps": recipe.save_every,
    }
    if recipe.beta > 0:
        given["algo.kl.use_loss"] = ""
    if prompts.heldout is not None:
        given |= {"eval.dataset": '"$here/validation.parquet"', "eval.steps": recipe.save_every}
        given |= {"eval.temperature": 0.0, "eval.n_samples_per_prompt": 1}
    if recipe.lora is not None:
        targets = recipe.lora.targets
        named = targets if isinstance(targets, str) else " ".join(map(quote, targets))
        given |= {"ds.lora.rank": recipe.lora.rank, "ds.lora.alpha": recipe.lora.alpha}
        given |= {"ds.lora.target_modules": named, "ds.lora.dropout": recipe.lora.dropout}
    if "tensorboard" in recipe.report_to:
        given["logger.tensorboard_dir"] = '"$here/tensorboard"'
    if "wandb" in recipe.report_to:
        given |= {"logger.wandb.key": "True", "logger.wandb.project": "spct"}  # the key itself is that of "wandb login"
    switches = ("actor.gradient_checkpointing_enable", "train.colocate_all", "vllm.enable_sleep", "ds.enable_sleep")
    given |= dict.fromkeys((*switches, "ds.adam_offload", "vllm.enable_prefix_caching", "ckpt.save_hf"), "")
    return [[f"--{name}", *([str(value)] if value != "" else [])] for name, value in given.items()]


def _sized(size: Mapping[str, int]) -> list[str]:
    """The arguments of a number of GPUs: all models on all of them."""
    placed = [f"--{of}.{what} {size[key]}" for of in ("actor", "ref")
              for what, key in (("num_nodes", "nodes"), ("num_gpus_per_node", "gpus"))]  # fmt: skip
    return [*placed, f"--vllm.num_engines {size['engines']}", f"--vllm.tensor_parallel_size {size['tensor_parallel']}"]


def _row(prompt: Prompt, prompts: Prompts) -> dict[str, str]:
    return {"prompt": prompts.encoder.prompt_text(prompt.messages), "label": truth_of(prompt), "datasource": "spct"}


def _check(recipe: RLRecipe) -> None:
    if "trackio" in recipe.report_to:
        raise InputError("report_to has trackio, which OpenRLHF does not have; use tensorboard or wandb")


OPENRLHF = Trainer(_check, write_openrlhf, ITS_OWN, tuple(SIZES))
