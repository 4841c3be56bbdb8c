"""Seconds per step of ``spct train rl`` beside plain TRL GRPO: one model, one batch, one length, in one process.

Plain is TRL's GRPOTrainer with the same prompts as messages, the same loss settings, ``generate`` for its rollouts and a
reward function that costs nothing. No model ends its turn (the end token is one of 8,192 of a random model's), so both
sample ``--new`` tokens a rollout. Steps of the three kinds are interleaved (plain, ours, ours with generate, plain, ...), so
that noise of the machine meets all alike; the first round is left out. Run as

    python benchmarks/rl_step.py --steps 5 --prompts 4 --group 4 --new 64
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, PrinterCallback
from trl.trainer.grpo_trainer import GRPOTrainer

from spct.recipe import parse_recipe
from spct.train.common.arguments import quiet
from spct.train.common.models import load_trainable
from spct.train.rl.prompts import Templates
from spct.train.rl.recipe import RLRecipe
from spct.train.rl.run import make_arguments, make_trainer
from spct.train.rl.selection import TrainingItems, read_labelled

CHAT = "{% for m in messages %}<|user|> {{ m.content }} <|end|> {% endfor %}<|assistant|>"
WORDS = 8192
SIZES = {"small": (256, 6, 4), "135m": (576, 30, 9)}


def save_model(path: Path, size: str) -> str:
    """A random llama over whole words."""
    words = ["<unk>", "<|end|>", "<|user|>", "<|assistant|>", *(f"w{i}" for i in range(WORDS - 4))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>")
    fast.chat_template = CHAT
    fast.save_pretrained(path)
    width, layers, heads = SIZES[size]
    config = LlamaConfig(
        vocab_size=WORDS, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=4096, eos_token_id=1,
        bos_token_id=None, pad_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(path)
    return str(path)


def write_items(path: Path, count: int, words: int) -> Path:
    """Pairs whose prompts under the shipped template have about ``words`` + 430 tokens."""
    draw = random.Random(0)
    with path.open("w") as file:
        for i in range(count):
            texts = [" ".join(f"w{draw.randrange(WORDS - 4)}" for _ in range(words // 3)) for _ in range(3)]
            file.write(json.dumps({"id": str(i), "prompt": texts[0], "responses": texts[1:], "best": i % 2}) + "\n")
    return path


def free_reward(prompts: list[Any], **_: Any) -> list[float]:
    """As often +1 as -1, so that both kinds of trainer have gradients."""
    return [1.0 if i % 2 else -1.0 for i in range(len(prompts))]


def make_plain(recipe: RLRecipe, out: Path, ours: Any, visits: int) -> GRPOTrainer:
    loaded = load_trainable(recipe.model)
    prompts = [row["prompt"] for row in ours.data_collator([{"visit": visit} for visit in range(visits)])]
    trainer = GRPOTrainer(
        model=loaded.model,
        reward_funcs=free_reward,
        args=make_arguments(recipe, out, 1, evaluate=False),
        train_dataset=Dataset.from_dict({"prompt": prompts}),
        processing_class=loaded.tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


class Stepper:
    """A trainer whose training is advanced step by step: rollouts, reward, loss, backward, optimizer."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.batches = iter(trainer.get_train_dataloader())
        self.optimizer = torch.optim.AdamW(trainer.model.parameters(), lr=1e-6)
        trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
        self.seconds: list[float] = []

    def step(self) -> None:
        start = time.perf_counter()
        for _ in range(self.trainer.args.gradient_accumulation_steps):
            self.trainer.training_step(self.trainer.model, next(self.batches), None)
        torch.nn.utils.clip_grad_norm_(self.trainer.model.parameters(), 1.0)
        self.optimizer.step()
        self.trainer.model.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=SIZES, default="small")
    for name, default in (("steps", 5), ("prompts", 4), ("group", 4), ("new", 64), ("words", 300)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    quiet()
    with tempfile.TemporaryDirectory() as made:
        path = Path(made)
        values = {
            "model": save_model(path / "model", options.size), "data": str(write_items(path / "i", 64, options.words)),
            "steps": options.steps + 1, "batch": options.prompts, "group": options.group,
            "micro_batch": options.group, "max_new_tokens": options.new,
            "device": "auto" if torch.cuda.is_available() else "cpu",
        }  # fmt: skip
        recipes = {name: parse_recipe(RLRecipe, {**values, "rollouts": name}) for name in ("shared", "generate")}
        templates = Templates()
        items = read_labelled(recipes["shared"].data, templates)
        selection = TrainingItems(items, templates, len(items))
        steppers = {}
        for name, recipe in recipes.items():
            loaded = load_trainable(recipe.model)
            trainer = make_trainer(recipe, path / name, loaded, selection, None, say=lambda _: None)
            steppers[f"spct, {name}"] = Stepper(trainer)
        plain = make_plain(recipes["shared"], path / "plain", trainer, recipe.steps * recipe.batch)
        steppers = {"TRL": Stepper(plain), **steppers}
        for _ in range(options.steps + 1):
            for stepper in steppers.values():
                stepper.step()
        report(steppers)


def report(steppers: dict[str, Stepper]) -> None:
    base = statistics.median(steppers["TRL"].seconds[1:])
    for name, stepper in steppers.items():
        metrics = stepper.trainer._metrics["train"]
        median = statistics.median(stepper.seconds[1:])
        print(
            f"{name:16} {median:7.2f} s/step ({min(stepper.seconds[1:]):.2f} to {max(stepper.seconds[1:]):.2f})  "
            f"{median / base:5.2f}x  {statistics.mean(metrics['completions/mean_length']):.1f} tokens a rollout"
        )


if __name__ == "__main__":
    main()
