"""verl (0.9): Parquet files, the reward file, a configuration for 1, 8 and 64 GPUs, and the script that starts it.

The configuration is the original GRPO of Eq 15 in verl's words: one update a batch, the mean over the tokens of each
sequence, KL (k3) to the model before training in the loss, advantages divided by the group's deviation. What differs from
TRL: verl clips each token's KL estimate at 10, and keeps no best checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from spct.data.output import write_text
from spct.errors import InputError
from spct.train.rl.handover import EXTRA, ITS_OWN, Trainer
from spct.train.rl.handover.folder import Prompts, write_rows
from spct.train.rl.handover.reward import truth_of
from spct.train.rl.prompts import Prompt
from spct.train.rl.recipe import RLRecipe

SOURCE = "spct"
"""What verl reports the figures of validation under."""
TURNS = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SCHEMA = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", TURNS),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
        ("extra_info", pa.struct([("index", pa.int64()), ("id", pa.string()), ("split", pa.string())])),
    ]
)
LEAST_TOKENS = 16384
"""Tokens of a micro batch of one GPU, where no sequence is longer."""
SIZES: Mapping[int, Mapping[str, Any]] = {
    1: {"nodes": 1, "gpus": 1, "tensor_parallel": 1, "offload": True, "gpu_memory": 0.4},
    8: {"nodes": 1, "gpus": 8, "tensor_parallel": 2, "offload": True, "gpu_memory": 0.5},
    64: {"nodes": 8, "gpus": 8, "tensor_parallel": 4, "offload": False, "gpu_memory": 0.5},
}
"""By number of GPUs: how rollouts are split over them, and whether weights and optimizer wait in the memory of the host."""

REWARD = '''"""The reward of this training: +1 for a correct judgment, -1 for any other (arXiv 2504.02495, Eq 11)."""

from pathlib import Path

from spct.train.rl.handover.reward import rule_reward

compute_score = rule_reward(Path(__file__).parent, TEMPLATES)
'''

LAUNCH = """#!/usr/bin/env bash
# bash launch.sh 1|8|64 [key=value ...]: train by verl. For 64, first "ray start --head" on the first node and
# "ray start --address=HEAD:6379" on the others; this folder must be at the same place on all of them. Each needs
# verl and spct[EXTRA].
set -euo pipefail
gpus="${1:?how many GPUs: 1, 8 or 64}"
shift
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
exec python -m verl.trainer.main_ppo --config-dir "$here" --config-name "gpus-$gpus" \\
  data.train_files="$here/train.parquet" data.val_files="$here/VALIDATION" \\
  reward.custom_reward_function.path="$here/reward.py" trainer.default_local_dir="$here/checkpoints" "$@"
"""


def write_verl(recipe: RLRecipe, model: str, prompts: Prompts, out: Path) -> list[str]:
    """As in ``Trainer``."""
    write_rows(out / "train.parquet", SCHEMA, (_row(prompt, "train") for prompt in prompts.train()))
    validation = "train.parquet"  # verl wants a file even where it validates nothing
    if prompts.heldout is not None:
        validation = "validation.parquet"
        write_rows(out / validation, SCHEMA, (_row(prompt, "test") for prompt in prompts.validation()))
    configs = {f"gpus-{gpus}.yaml": _sized(size) for gpus, size in SIZES.items()}
    configs["spct.yaml"] = config(recipe, model, prompts)
    for name, values in configs.items():
        write_text(out / name, yaml.safe_dump(values, sort_keys=False))
    write_text(out / "reward.py", REWARD.replace("TEMPLATES", prompts.template_files))
    write_text(out / "launch.sh", LAUNCH.replace("EXTRA", EXTRA).replace("VALIDATION", validation))
    return sorted({"train.parquet", validation, "reward.py", "launch.sh", *configs})


def config(recipe: RLRecipe, model: str, prompts: Prompts) -> dict[str, Any]:
    """The recipe in verl's words, over its own ``ppo_trainer``; what depends on the number of GPUs is in ``gpus-N``."""
    longest = 64 * math.ceil(prompts.longest / 64)
    tokens = max(LEAST_TOKENS, longest + recipe.max_new_tokens)
    evaluates = prompts.heldout is not None
    return {
        "defaults": ["ppo_trainer", "_self_"],
        "algorithm": {"adv_estimator": "grpo", "norm_adv_by_std_in_grpo": True, "use_kl_in_reward": False},
        "data": {
            "train_batch_size": recipe.batch,
            "max_prompt_length": longest,
            "max_response_length": recipe.max_new_tokens,
            "shuffle": False,  # the rows are in the order of the steps
            "filter_overlong_prompts": False,  # none is too long
            "truncation": "error",
        },
        "actor_rollout_ref": {
            "model": {"path": model, **_lora(recipe)},
            "actor": {
                "optim": {
                    "lr": recipe.learning_rate,
                    "lr_scheduler_type": recipe.schedule,
                    # TRL's constant schedule has no warmup either
                    "lr_warmup_steps_ratio": 0.0 if recipe.schedule == "constant" else recipe.warmup,
                    "weight_decay": recipe.weight_decay,
                    "clip_grad": recipe.max_grad_norm,
                },
                "grad_clip": recipe.max_grad_norm,
                "ppo_mini_batch_size": recipe.batch,  # one update a batch; verl counts prompts here
                "ppo_epochs": 1,
                "use_dynamic_bsz": True,
                "ppo_max_token_len_per_gpu": tokens,
                "clip_ratio": recipe.epsilon,
                "clip_ratio_low": recipe.epsilon,
                "clip_ratio_high": recipe.epsilon,
                "loss_agg_mode": "seq-mean-token-mean",
                "entropy_coeff": 0,
                "use_kl_loss": recipe.beta > 0,
                "kl_loss_coef": recipe.beta,
                "kl_loss_type": "low_var_kl",
            },
            "rollout": {
                "name": "vllm",
                "n": recipe.group,
                "temperature": recipe.temperature,
                "top_p": 1,
                "top_k": -1,
                "val_kwargs": {"temperature": 0, "do_sample": False, "n": 1},
            },
        },
        "reward": {
            "custom_reward_function": {"name": "compute_score"},
            "reward_manager": {
                "source": "importlib",
                "name": "GroupRewardManager",
                "module": {"path": "pkg://spct.adapters.verl_manager"},
            },
        },
        "trainer": {
            "total_training_steps": recipe.steps,
            "total_epochs": 1,
            "save_freq": recipe.save_every,
            "test_freq": recipe.save_every if evaluates else -1,
            "val_before_train": evaluates,
            "logger": ["console", *recipe.report_to],
            "project_name": "spct",
            "experiment_name": "rl",
        },
    }


def _sized(size: Mapping[str, Any]) -> dict[str, Any]:
    offload = {"param_offload": size["offload"], "optimizer_offload": size["offload"]}
    return {
        "defaults": ["spct", "_self_"],
        "actor_rollout_ref": {
            "actor": {"fsdp_config": offload},
            "ref": {"fsdp_config": {"param_offload": size["offload"]}},
            "rollout": {
                "tensor_model_parallel_size": size["tensor_parallel"],
                "gpu_memory_utilization": size["gpu_memory"],
            },
        },
        "trainer": {"nnodes": size["nodes"], "n_gpus_per_node": size["gpus"]},
    }


def _lora(recipe: RLRecipe) -> dict[str, Any]:
    if recipe.lora is None:
        return {}
    targets = recipe.lora.targets
    named = targets if isinstance(targets, str) else list(targets)
    return {"lora_rank": recipe.lora.rank, "lora_alpha": recipe.lora.alpha, "target_modules": named}


def _check(recipe: RLRecipe) -> None:
    if recipe.schedule == "linear":
        raise InputError("schedule is linear, which verl's FSDP trainer does not have; use constant or cosine")
    if recipe.lora is not None and recipe.lora.dropout:
        raise InputError(f"lora.dropout is {recipe.lora.dropout:g}, and verl has none; use 0")


def _row(prompt: Prompt, split: str) -> dict[str, Any]:
    return {
        "data_source": SOURCE,
        "prompt": prompt.turns,
        "ability": "judging",
        "reward_model": {"style": "rule", "ground_truth": truth_of(prompt)},
        "extra_info": {"index": prompt.visit, "id": prompt.item.id, "split": split},
    }


VERL = Trainer(_check, write_verl, ("micro_batch", *ITS_OWN), tuple(SIZES))
