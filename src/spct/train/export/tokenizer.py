"""A byte-level BPE tokenizer and its chat template in the header of a GGUF file.

llama.cpp knows by name how text is cut up before the merges; the name is found by what the tokenizer does, not by what it
is called. Failure rule: a tokenizer of another kind, or one that cuts in a way not known here, is a TrainingError.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import gguf

from spct.errors import TrainingError

_LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
CUTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "gpt-2": (("ByteLevel", "regex"),),
    "smollm": (("Digits", "each"), ("ByteLevel", "regex")),
    "llama-bpe": (("Split", _LLAMA3), ("ByteLevel",)),
    "qwen2": (("Split", _QWEN2), ("ByteLevel",)),
}
"""llama.cpp's name of each way to cut, and the steps it stands for."""

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5


def write_tokenizer(writer: gguf.GGUFWriter, tokenizer: Any, vocab_size: int, name: str) -> None:
    """Put tokens, merges, special tokens and chat template into the header. Raises TrainingError."""
    layout = _layout(tokenizer, name)
    tokens, kinds = _tokens(tokenizer, vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(cut_of(layout, name))
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(
        [merge if isinstance(merge, str) else " ".join(merge) for merge in layout["model"]["merges"]]
    )
    for kind in ("bos", "eos", "unk", "pad"):
        if (token := getattr(tokenizer, f"{kind}_token_id")) is not None:
            getattr(writer, f"add_{kind}_token_id")(int(token))
    writer.add_add_bos_token(False)  # chat templates write it where it belongs, and so was the model trained
    writer.add_chat_template(str(tokenizer.chat_template))


def cut_of(layout: Mapping[str, Any], name: str) -> str:
    """llama.cpp's name of how a tokenizer.json cuts text up. Raises TrainingError where it has none."""
    before = layout.get("pre_tokenizer") or {}
    steps = tuple(_step(step) for step in before.get("pretokenizers", [before]))
    known = next((cut for cut, known in CUTS.items() if known == steps), None)
    if known is None or layout.get("normalizer") not in (None, {"type": "NFC"}):
        raise TrainingError(
            f"the tokenizer of {name} cuts text up in a way not known here ({', '.join(map(str, steps))[:200]}); convert the "
            "model with llama.cpp's own converter"
        )
    return known


def _layout(tokenizer: Any, name: str) -> dict[str, Any]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    layout: dict[str, Any] = {} if backend is None else json.loads(backend.to_str())
    model = layout.get("model", {})
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise TrainingError(
            f"the tokenizer of {name} is {model.get('type') or type(tokenizer).__name__}; GGUF export writes byte-level BPE"
        )
    if not model["merges"]:
        raise TrainingError(f"the tokenizer of {name} has no merges, and llama.cpp loads no BPE without them")
    return layout


def _step(step: Mapping[str, Any]) -> tuple[str, ...]:
    kind = str(step.get("type"))
    if kind == "ByteLevel" and not step.get("add_prefix_space"):
        return (kind, "regex") if step.get("use_regex", True) else (kind,)
    if kind == "Digits":
        return (kind, "each" if step.get("individual_digits") else "together")
    if kind == "Split" and step.get("behavior") == "Isolated" and not step.get("invert"):
        return (kind, str(step["pattern"].get("Regex")))
    return (kind, "with settings of its own")


def _tokens(tokenizer: Any, vocab_size: int) -> tuple[list[str], list[int]]:
    """The text and the kind of every id below ``vocab_size``; ids that the tokenizer lacks get a name nobody writes."""
    by_id = {index: text for text, index in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    tokens, kinds = [], []
    for index in range(vocab_size):
        tokens.append(by_id.get(index, f"[unused {index}]"))
        special = CONTROL if index in added and added[index].special else USER_DEFINED
        kinds.append(UNUSED if index not in by_id else special if index in added else NORMAL)
    return tokens, kinds
