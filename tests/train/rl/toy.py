"""A judging world of a few words: responses are good or bad words, an answer is one token, and a tiny policy can learn it."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from spct.recipe import parse_recipe
from spct.train.rl.recipe import RLRecipe

GOOD, BAD = ("fine", "right", "sound"), ("poor", "false", "weak")
ANSWERS = [r"\boxed{0}", r"\boxed{1}", r"\boxed{1,2}", r"\boxed{2,1}", r"\boxed{1,1}"]
ANSWERS += [r"\boxed{2,1,1}", r"\boxed{1,2,1}", r"\boxed{1,1,2}", "hm"]
CONTROL = ["<|end|>", "<|user|>", "<|assistant|>"]
CHAT = "{% for m in messages %}<|{{ m.role }}|> {{ m.content }} <|end|> {% endfor %}<|assistant|>"
TEMPLATE = """---
reader: box
scale: [{low}, {high}]
needs: [{needs}]
---
{{{{ query }}}} {{% for number, text in responses %}} {{{{ number }}}} {{{{ text }}}} {{% endfor %}}
"""


def save_toy_model(path: Path, *, layers: int = 1, context: int = 64, answers: Sequence[str] = ANSWERS) -> Path:
    """A random llama over whole words, with its tokenizer and chat template."""
    words = ["<unk>", *CONTROL, "judge", "1", "2", "3", *GOOD, *BAD, *answers]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>", unk_token="<unk>"
    )
    fast.add_special_tokens({"additional_special_tokens": CONTROL[1:]})
    fast.chat_template = CHAT
    fast.save_pretrained(path)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast), hidden_size=32, intermediate_size=64, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=context, eos_token_id=fast.eos_token_id, bos_token_id=None,
        pad_token_id=fast.pad_token_id, tie_word_embeddings=False,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(path)
    return path


def toy_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Items of one, two and three responses, of which at most one is good."""
    draw = random.Random(seed)
    rows = []
    for i in range(count):
        n = 1 + i % 3
        best = draw.randrange(n)
        responses = [draw.choice(GOOD if place == best else BAD) for place in range(n)]
        row: dict[str, Any] = {"id": f"item-{seed}-{i}", "prompt": "judge", "responses": responses}
        if n == 1:
            row["label"] = draw.randrange(2)
            row["responses"] = [draw.choice(GOOD if row["label"] else BAD)]
        else:
            row["best"] = best
        rows.append(row)
    return rows


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def toy_recipe(directory: Path, **changes: Any) -> RLRecipe:
    """A recipe over a toy model, template and items in ``directory``, which are made where they lack."""
    if not (directory / "model").is_dir():
        save_toy_model(directory / "model")
        (directory / "pairs.jinja").write_text(TEMPLATE.format(low=1, high=2, needs=""))
        (directory / "single.jinja").write_text(TEMPLATE.format(low=0, high=1, needs="single"))
        write_rows(directory / "train.jsonl", toy_rows(30))
        write_rows(directory / "heldout.jsonl", toy_rows(18, seed=1))
    values = {
        "model": str(directory / "model"), "data": str(directory / "train.jsonl"),
        "template": str(directory / "pairs.jinja"), "single_template": str(directory / "single.jinja"),
        "device": "cpu", "steps": 4, "batch": 4, "micro_batch": 8, "max_new_tokens": 2, "learning_rate": 1e-2,
        "warmup": 0.0, "save_every": 2,
    }  # fmt: skip
    return parse_recipe(RLRecipe, values | changes)
