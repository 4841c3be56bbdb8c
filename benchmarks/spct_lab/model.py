"""A small llama over whole words, and its tokenizer with a chat template: what the laboratory trains. Needs transformers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from benchmarks.spct_lab.world import KINDS, WEIGHTS, WORDS
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

END, USER, ASSISTANT = "<|end|>", "<|user|>", "<|assistant|>"
CHAT = "{% for m in messages %}<|{{ m.role }}|> {{ m.content }} <|end|> {% endfor %}<|assistant|>"
MARKS = [
    "judge",
    "read",
    ":",
    ";",
    ",",
    ".",
    "=",
    "write",
    "principles",
    "critique",
    "scores",
    "grade",
    "\\boxed{",
    "}",
    "yes",
    "no",
]
HINT = ["Hint:", "the", "best", "correct", "response", "score", "is:"]
VOCABULARY = [
    "<unk>", "<pad>", END, USER, ASSISTANT, *MARKS, *HINT, *map(str, range(10)), "#1", "#2", "#3", "#4", *WEIGHTS, *KINDS, *WORDS,
    *(word for words in WORDS.values() for word in words),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """Shape of the model; ``context`` is in tokens."""

    width: int = 64
    layers: int = 3
    heads: int = 4
    context: int = 224


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token per word."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(VOCABULARY)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token="<pad>", unk_token="<unk>")
    fast.add_special_tokens({"additional_special_tokens": [USER, ASSISTANT]})
    fast.chat_template = CHAT
    return fast


def make_model(size: Size, seed: int) -> LlamaForCausalLM:
    """Random weights."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=size.width,
        intermediate_size=2 * size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=size.context,
        eos_token_id=VOCABULARY.index(END),
        bos_token_id=None,
        pad_token_id=VOCABULARY.index("<pad>"),
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},  # texts are short
        initializer_range=size.width**-0.5,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def save(model: LlamaForCausalLM, path: Path) -> None:
    """Write model and tokenizer as every engine of transformers' format loads them."""
    model.save_pretrained(path)
    make_tokenizer().save_pretrained(path)
