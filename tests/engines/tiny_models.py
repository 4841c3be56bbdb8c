"""Tiny random causal models with a byte-level tokenizer and a chat template, made and saved in a second."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

CONTROL = ["<|end|>", "<|user|>", "<|assistant|>"]
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
    "<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}<|assistant|>"
)
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": SIZES,
    "llama_wide": SIZES | {"head_dim": 32},  # the least that vLLM's attention takes
    "qwen3": SIZES | {"head_dim": 8},
    "mistral": SIZES | {"sliding_window": 8},
    "gemma3_text": SIZES
    | {"head_dim": 8, "sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}
    | {"tie_word_embeddings": False},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256},
    "lfm2": SIZES | {"layer_types": ["conv", "full_attention"], "block_multiple_of": 8},
    "qwen3_next": SIZES
    | {"head_dim": 8, "layer_types": ["linear_attention", "full_attention"], "num_experts": 2, "num_experts_per_tok": 1}
    | {"moe_intermediate_size": 16, "shared_expert_intermediate_size": 16, "linear_key_head_dim": 8}
    | {"linear_value_head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 2},
}


def save_tokenizer(path: Path, template: str | None = TEMPLATE) -> int:
    """A tokenizer with one token per byte, and the controls; returns its size."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=CONTROL[0], pad_token=CONTROL[0])
    fast.add_special_tokens({"additional_special_tokens": CONTROL[1:]})
    fast.chat_template = template
    fast.save_pretrained(path)
    return len(fast)


def save_model(path: Path, family: str = "llama", template: str | None = TEMPLATE) -> Path:
    """A random model of ``family``, sharp enough that its greedy text wanders."""
    size = save_tokenizer(path, template)
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family.partition("_wide")[0], vocab_size=size, eos_token_id=size - 3, bos_token_id=None, pad_token_id=None,
        initializer_range=0.3, **FAMILIES[family],
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(path)
    return path
