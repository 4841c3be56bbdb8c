"""The files that the servers serve: the catalogue's 135M model as a Hugging Face folder, a classifier and an adapter of it.

    python -m benchmarks.live.weights FOLDER

``model`` is the GGUF file dequantised to bfloat16. ``classifier`` has its layers and a random score head in float32: it rates
nothing sensibly, and the same everywhere. ``adapter`` is a random LoRA adapter, large enough to change what is said.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, GgufConfig

from spct.weights import pull


def write(folder: Path) -> None:
    """Write what is not there yet."""
    model, classifier, adapter = folder / "model", folder / "classifier", folder / "adapter"
    source = pull("smollm2-135m").path
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    if not (model / "tokenizer.json").exists():
        whole = AutoModelForCausalLM.from_pretrained(
            source.parent,
            gguf_file=source.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.bfloat16,
        )
        whole.save_pretrained(model)
        tokenizer.save_pretrained(model)
    torch.manual_seed(0)
    if not (classifier / "tokenizer.json").exists():
        rater = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1, dtype=torch.float32)
        rater.config.pad_token_id = tokenizer.pad_token_id
        rater.save_pretrained(classifier)
        tokenizer.save_pretrained(classifier)
    if not (adapter / "adapter_config.json").exists():
        whole = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        adapted = get_peft_model(whole, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]))
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:  # zero to begin with, which would change nothing
                torch.nn.init.normal_(weight, std=0.1)
        adapted.save_pretrained(adapter)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
