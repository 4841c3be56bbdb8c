"""A TRL GRPO run of a tiny policy whose only reward is a judge: behind ``spct serve``, or in this process.

    python examples/trl_grpo.py                 # starts spct serve, kills and restarts it in the middle of the run
    python examples/trl_grpo.py --in-process    # the same run without a server
    python examples/trl_grpo.py --url http://127.0.0.1:8000

The policy is a random two-layer llama over letters, the judge the rehearsal judge of ``letter_judge.py``: the share of
the letter e, through the whole GRM format. Both runs take the same steps to the last digit (compare their ``--rewards``).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    PrinterCallback,
    TrainerCallback,
    set_seed,
)
from trl import GRPOConfig, GRPOTrainer

sys.path.insert(0, str(Path(__file__).parent))
from letter_judge import share

from spct import GRM
from spct.adapters.trl import TRLReward
from spct.client import RewardClient

JUDGE = f"scripted:{Path(__file__).parent / 'letter_judge.py'}:judge"
LETTERS = "abcdefghijklmnopqrstuvwxyz "
K = 4


def letter_tokenizer() -> PreTrainedTokenizerFast:
    """One token a character, and the three that a trainer wants."""
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<s>", "</s>", *LETTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", padding_side="left"
    )


def tiny_policy(tokenizer: PreTrainedTokenizerFast, hidden: int = 32) -> LlamaForCausalLM:
    """A random two-layer llama over the tokenizer's vocabulary."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=hidden,
            intermediate_size=2 * hidden,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=128,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def prompts() -> Dataset:
    """A few dozen requests, none of which the policy can read."""
    verbs, things = ["write", "say", "tell", "give", "sing", "draw"], ["a tree", "the sea", "a bee", "an eel", "a poem"]
    return Dataset.from_dict({"prompt": [f"{verb} me {thing} " for verb in verbs for thing in things]})


def grpo(
    reward: TRLReward,
    steps: int,
    out: Path,
    callbacks: list[TrainerCallback],
    *,
    seed: int = 0,
    learning_rate: float = 4e-3,
) -> GRPOTrainer:
    """The trainer: eight completions of 16 tokens for each of four prompts a step."""
    set_seed(seed)
    tokenizer = letter_tokenizer()
    trainer = GRPOTrainer(
        model=tiny_policy(tokenizer),
        reward_funcs=reward,
        train_dataset=prompts(),
        processing_class=tokenizer,
        callbacks=callbacks,
        args=GRPOConfig(
            output_dir=str(out),
            seed=seed,
            max_steps=steps,
            per_device_train_batch_size=32,
            num_generations=8,
            max_completion_length=16,
            learning_rate=learning_rate,
            lr_scheduler_type="constant",
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            disable_tqdm=True,
        ),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


class Restart(TrainerCallback):
    """Kill the service before one step, and start it again two seconds later: the run must not notice."""

    def __init__(self, service: Service, at_step: int) -> None:
        self._service, self._at_step = service, at_step

    def on_step_begin(self, args, state, control, **given):
        if state.global_step == self._at_step:
            self._service.kill()
            self._service.start_later(2.0)


class Watch(TrainerCallback):
    """Print the reward now and then."""

    def on_log(self, args, state, control, logs=None, **given):
        if logs and "reward" in logs and state.global_step % 10 == 1:
            print(f"step {state.global_step:3d}  reward {logs['reward']:.2f}  ({logs['step_time']:.2f} s)", flush=True)


class Service:
    """``spct serve`` in a process of its own."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        command = f"serve --model {JUDGE} -k {K} --port {port}".split()
        self._command = [str(Path(sys.executable).parent / "spct"), *command]
        self.start_later(0)

    def start_later(self, delay_s: float) -> None:
        shell = f'sleep {delay_s}; exec "$@"'
        self._process = subprocess.Popen(["sh", "-c", shell, "sh", *self._command], stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        print("spct serve killed", flush=True)


@contextmanager
def reward_of(options: argparse.Namespace) -> Iterator[tuple[TRLReward, list[TrainerCallback]]]:
    """The reward function, and what happens to its service during the run."""
    if options.in_process:
        yield TRLReward(GRM(JUDGE, k=K)), []
    elif options.url:
        yield TRLReward(options.url), []
    else:
        service = Service(options.port)
        try:
            with RewardClient(service.url) as client:
                print(f"judging by {client.health().model} at {service.url}", flush=True)
            yield TRLReward(service.url), [Restart(service, options.steps // 4)]
        finally:
            service.kill()


def mean_share(trainer: GRPOTrainer) -> float:
    """The share of e in fresh samples of the policy, by counting: what the judge was asked to raise."""
    tokenizer, rows = trainer.processing_class, prompts()["prompt"]
    inputs = tokenizer(list(rows), return_tensors="pt", padding=True)
    with torch.no_grad():
        sampled = trainer.model.generate(inputs.input_ids, attention_mask=inputs.attention_mask,
                                         do_sample=True, max_new_tokens=16)  # fmt: skip
    texts = tokenizer.batch_decode(sampled[:, inputs.input_ids.shape[1] :], skip_special_tokens=True)
    return sum(map(share, texts)) / len(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--in-process", action="store_true", help="judge in this process, without a server")
    parser.add_argument("--url", help="a service that runs already")
    parser.add_argument("--port", type=int, default=8765, help="where to start one")
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--rewards", type=Path, help="write the reward of each step to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)  # a policy this small is slower on two
    with reward_of(options) as (reward, callbacks), tempfile.TemporaryDirectory() as folder:
        trainer = grpo(reward, options.steps, Path(folder), [*callbacks, Watch()])
        before, begun = mean_share(trainer), time.monotonic()
        trainer.train()
        took_s = time.monotonic() - begun
        rewards = [row["reward"] for row in trainer.state.log_history if "reward" in row]
        reward.close()
    if options.rewards:
        options.rewards.write_text(json.dumps(rewards))
    first, last = sum(rewards[:5]) / 5, sum(rewards[-5:]) / 5
    print(f"reward, mean of five steps: {first:.2f} at first, {last:.2f} at last; {took_s:.0f} s, {len(rewards)} steps")
    print(f"share of the letter e: {before:.2f} before, {mean_share(trainer):.2f} after")


if __name__ == "__main__":
    main()
