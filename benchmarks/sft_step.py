"""Seconds a step of ``spct train sft``, with a step's examples as they come, by length and packed; and the weights that come of it.

    python -m benchmarks.sft_step [--model smollm2-135m] [--data ROWS] [--steps 4] [--batch 16] [--micro-batch 4] [--ways WAY ...]

Every item of ROWS is shown in each order by the short prompt of examples/recipes, with a scripted judgment of 40 to 120
words to learn. The ways come one after the other, each on a model loaded anew; the first step of each is left out. Tokens are
those of examples; padding is what a step computes besides. Packed steps hold as many examples, in sequences of ``--max-tokens``.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from benchmarks.embedded_judge import ITEMS
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl.data_utils import pack_dataset

from spct.engines.scripted import judgment_text
from spct.items import read_items
from spct.templates import load_template
from spct.train.common.arguments import quiet
from spct.train.common.models import load_trainable
from spct.train.common.token_rows import lengths_of
from spct.train.sft.recipe import SftRecipe
from spct.train.sft.run import make_trainer
from spct.voting.orders import balanced_square

SHORT = "examples/recipes/short.jinja"
WAYS = AS_THEY_COME, BY_LENGTH, PACKED = "as-they-come", "by-length", "packed"


@dataclass(frozen=True, slots=True)
class Steps:
    """Seconds of each step but the first, the tokens they computed and those of examples, and the weights after the last."""

    seconds: Sequence[float]
    computed: int
    tokens: int
    weights: dict[str, torch.Tensor]

    def row(self, way: str) -> str:
        spent = sum(self.seconds)
        each = ", ".join(f"{one:.1f}" for one in self.seconds)
        return f"| {way} | {self.tokens / spent:,.0f} | {1 - self.tokens / self.computed:.0%} | {each} |"


class Clock(TrainerCallback):
    """Times the steps."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._began = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds.append(time.perf_counter() - self._began)


def rows_of(data: Path, encoder: Any, longest: int) -> Dataset:
    """Token rows as SFT has them."""
    template, draw, found = load_template(SHORT), random.Random(0), []
    for item in read_items(data):
        n = len(item.responses)
        for order in balanced_square(n):
            words = " ".join(draw.choice(("clear", "wrong", "short", "kind")) for _ in range(draw.randint(40, 120)))
            scores = [1 + (item.best == place) * 8 for place in order]
            example = encoder.example(template.render(item, order), judgment_text(scores, words))
            if len(example.input_ids) <= longest:
                found.append({"input_ids": example.input_ids, "labels": example.labels})
    return Dataset.from_list(found)


def train(recipe: SftRecipe, rows: Dataset, steps: int) -> Steps:
    quiet()
    trainable = load_trainable(recipe.model, recipe.max_tokens)
    clock, computed = Clock(), []
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(recipe, trainable, rows, Path(folder), steps, recipe.accumulation(1))
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(clock)
        forward = trainer.model.forward

        def noted(*args: Any, **kwargs: Any) -> Any:
            computed.append(kwargs["input_ids"].numel())
            return forward(*args, **kwargs)

        with mock.patch.object(trainer.model, "forward", noted):
            trainer.train()
        data, micro = lengths_of(trainer.train_dataset.select_columns(["input_ids"])), recipe.accumulation(1)
    state = {name: weight.detach().clone() for name, weight in trainer.model.state_dict().items()}
    return Steps(clock.seconds[1:], sum(computed[micro:]), sum(data[recipe.batch : steps * recipe.batch]), state)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--data", type=Path, default=ITEMS)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--micro-batch", type=int, default=4)
    parser.add_argument("--max-tokens", type=int, default=1024)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    options = parser.parse_args()
    given = {name: getattr(options, name) for name in ("model", "batch", "micro_batch", "max_tokens", "precision")}
    recipe = SftRecipe(**given, trajectories=["rows"], out="out", device="cpu", learning_rate=1e-4, warmup=0.0)
    rows = rows_of(options.data, load_trainable(recipe.model, recipe.max_tokens).encoder, options.max_tokens)
    lengths = lengths_of(rows.select_columns(["input_ids"]))
    print(f"{len(rows)} examples of {min(lengths)} to {max(lengths)} tokens, {options}\n")
    packed = pack_dataset(rows, options.max_tokens, "bfd")
    each = max(1, round(options.batch * len(packed) / len(rows)))
    ways: dict[str, Callable[[], Steps]] = {
        AS_THEY_COME: lambda: unsorted(recipe, rows, options.steps),
        BY_LENGTH: lambda: train(recipe, rows, options.steps),
        PACKED: lambda: train(
            recipe.model_copy(update={"packing": True, "batch": each, "micro_batch": 1}), packed, options.steps
        ),
    }
    print("| a step's examples | tokens/s | padding | seconds of each step |\n| --- | ---: | ---: | --- |", flush=True)
    made = {}
    for way in options.ways:
        made[way] = ways[way]()
        print(made[way].row(way), flush=True)
    if not {AS_THEY_COME, BY_LENGTH} <= made.keys():
        return
    one, other = made[AS_THEY_COME].weights, made[BY_LENGTH].weights
    apart = max(float((one[name] - other[name]).abs().max()) for name in one)
    print(f"\nweights apart after {options.steps} steps: {apart:.1e} at most")


def unsorted(recipe: SftRecipe, rows: Dataset, steps: int) -> Steps:
    with mock.patch("spct.train.common.token_rows.lengths_of", lambda rows: [0] * len(rows)):
        return train(recipe, rows, steps)


if __name__ == "__main__":
    main()
