"""Tiny random sequence classifiers with a byte-level tokenizer, made and saved in a moment."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedTokenizerFast,
)

from spct.classifiers.pairrm_model import PairRM

CHAT = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
CHAT_TOKENS = ["<|end|>", "<|user|>", "<|assistant|>"]
PAIR_TOKENS = ["[CLS]", "[SEP]", "<|source|>", "<|candidate1|>", "<|candidate2|>"]


def save_tokenizer(path: Path, tokens: list[str], template: str | None = None) -> int:
    """One token per byte, then ``tokens``; with [CLS] and [SEP] among them, texts and pairs are put between them."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {text: i for i, text in enumerate([*letters, *tokens])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if "[CLS]" in tokens:
        ends = [("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])]
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
        )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=["input_ids", "token_type_ids"])
    fast.add_special_tokens({"additional_special_tokens": tokens})
    fast.chat_template = template
    fast.save_pretrained(path)
    return len(fast)


def save_decoder(path: Path, *, labels: int = 1, context: int = 512, **config: Any) -> Path:
    """A llama with a score head, as Bradley-Terry reward models come."""
    size = save_tokenizer(path, CHAT_TOKENS, CHAT)
    torch.manual_seed(0)
    made = AutoConfig.for_model(
        "llama", vocab_size=size, num_labels=labels, max_position_embeddings=context, hidden_size=16,
        intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, bos_token_id=None,
        eos_token_id=None, pad_token_id=None, initializer_range=0.5, **config,
    )  # fmt: skip
    AutoModelForSequenceClassification.from_config(made).save_pretrained(path)
    return path


def save_encoder(path: Path) -> Path:
    """A BERT with one label and no chat template."""
    size = save_tokenizer(path, PAIR_TOKENS)
    torch.manual_seed(0)
    made = AutoConfig.for_model(
        "bert", vocab_size=size, num_labels=1, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=256, initializer_range=0.5,
    )  # fmt: skip
    AutoModelForSequenceClassification.from_config(made).save_pretrained(path)
    return path


def save_pairrm(path: Path) -> Path:
    """A checkpoint of the architecture, and with the parameter names, of PairRM."""
    size = save_tokenizer(path, PAIR_TOKENS)
    torch.manual_seed(0)
    marks = dict(zip(("source_prefix_id", "cand1_prefix_id", "cand2_prefix_id"), range(size - 3, size), strict=True))
    made = AutoConfig.for_model(
        "deberta-v2", vocab_size=size, hidden_size=16, intermediate_size=32, num_hidden_layers=1, n_tasks=1,
        num_attention_heads=2, relative_attention=True, pos_att_type=["p2c", "c2p"], position_biased_input=False,
        initializer_range=0.5, **marks,
    )  # fmt: skip
    made.architectures = ["DebertaV2PairRM"]
    model = PairRM(made)
    model.save_pretrained(path)
    config = path / "config.json"
    config.write_text(config.read_text().replace('"PairRM"', '"DebertaV2PairRM"'))
    return path
