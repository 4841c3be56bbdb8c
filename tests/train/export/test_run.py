"""GGUF files of tiny models: what llama.cpp says of them is what transformers says, and what cannot be written is refused."""

import asyncio
import json
import math

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedTokenizerFast,
)

from engines.tiny_models import CONTROL, SIZES, TEMPLATE, save_model
from spct.engines import load_engine
from spct.errors import TrainingError
from spct.train.common.models import load_trainable
from spct.train.export.check import Agreement, Checked, _agreement, compare_greedily, require_pass
from spct.train.export.form import Architecture
from spct.train.export.gguf import write_gguf
from spct.train.export.run import REPORT, Checking, export_adapter, export_model
from spct.train.export.tokenizer import CUTS, cut_of
from spct.weights import file_encoding, read_header

FAMILIES = {
    "llama": SIZES,
    "llama-tied": SIZES | {"tie_word_embeddings": True},
    "qwen2": SIZES,
    "qwen3": SIZES | {"head_dim": 8},
    "mistral": SIZES | {"sliding_window": None},
}
SEEDS = {"qwen3": 3}
"""Rounding to Q8_0 moves random models of this width: of six qwen3 seeds one (0) parts 0.81 nats apart, the others 0.11 at most."""
LETTERS = ["Ċ", "Ġ", *(chr(i) for i in range(0x21, 0x7F))]
"""The bytes of ASCII text: what a random model says is then text, and says which tokens it was."""
PROMPTS = ("after red", "white horses and 17 brown ones", "say it again, please: grey")


def save(path, family="llama", cut=None, seed=0, **more):
    """A random model whose greedy text wanders, with a byte-level BPE tokenizer that has merges."""
    torch.set_num_threads(1)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = cut or pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=LETTERS)
    tokenizer.train_from_iterator(
        ["white horses and brown ones", "say it again please, 17 times", "after red"], trainer
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=CONTROL[0], pad_token=CONTROL[0])
    fast.add_special_tokens({"additional_special_tokens": CONTROL[1:]})
    fast.chat_template = TEMPLATE
    fast.save_pretrained(path)
    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        family.split("-")[0], vocab_size=len(fast) + 3, eos_token_id=fast.eos_token_id, bos_token_id=None,
        pad_token_id=None, initializer_range=0.05, **FAMILIES[family] | more,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    model.generation_config.eos_token_id = fast.eos_token_id
    model.save_pretrained(path)
    return path


@pytest.mark.parametrize("family", FAMILIES)
def test_llamacpp_says_what_transformers_says(tmp_path, family):
    path = save(tmp_path / "it", family, seed=SEEDS.get(family, 0))
    report = export_model(str(path), tmp_path, checking=Checking(PROMPTS, 1))
    assert report["files"]["it.F16.gguf"]["check"]["equal"] == 3
    for encoding in ("F16", "Q8_0"):
        name = f"it.{encoding}.gguf"
        assert file_encoding(tmp_path / name) == encoding
        check = report["files"][name]["check"]
        assert (check["passed"], check["first_token"], check["prompts"]) == (True, 1.0, 3)
        assert [len(set(row["prompt_tokens"])) for row in check["texts"]] == [1, 1, 1]
    written = json.loads((tmp_path / REPORT).read_text())
    assert written == json.loads(json.dumps(report))
    assert sorted(file.name for file in tmp_path.iterdir()) == [REPORT, "it", "it.F16.gguf", "it.Q8_0.gguf"]
    header = read_header(tmp_path / "it.F16.gguf")
    assert header.metadata["tokenizer.chat_template"] == TEMPLATE
    assert set(CONTROL) <= set(header.special_tokens)
    assert header.metadata["tokenizer.ggml.tokens"][-1].startswith("[unused ")


def test_digits_are_cut_as_the_tokenizer_cuts_them(tmp_path):
    cut = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    path = save(tmp_path / "it", cut=cut)
    report = export_model(str(path), tmp_path, ["F16"], checking=Checking(["17 times 2024 is 34408", *PROMPTS], 1))
    assert read_header(tmp_path / "it.F16.gguf").metadata["tokenizer.ggml.pre"] == "smollm"
    assert report["files"]["it.F16.gguf"]["check"]["first_token"] == 1.0


def test_an_adapter_on_its_base(tmp_path):
    from peft import LoraConfig, get_peft_model

    path = save(tmp_path / "it")
    model = AutoModelForCausalLM.from_pretrained(path)
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    torch.manual_seed(3)
    for name, value in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.3)
    adapted.save_pretrained(tmp_path / "adapter")
    report = export_adapter(tmp_path / "adapter", tmp_path, base=str(path), name="mine", checking=Checking(PROMPTS, 1))
    with_it = report["files"]["mine.lora.gguf"]["check"]
    assert (with_it["passed"], with_it["first_token"]) == (True, 1.0)
    without = export_model(str(path), tmp_path, ["F16"], checking=Checking(PROMPTS, 1))["files"]["it.F16.gguf"]["check"]
    texts = [[row["texts"][1] for row in found["texts"]] for found in (with_it, without)]
    assert all(a != b for a, b in zip(*texts, strict=True))
    assert set(json.loads((tmp_path / REPORT).read_text())["files"]) == {"mine.lora.gguf", "it.F16.gguf"}


def test_a_file_that_says_something_else_is_not_called_good(tmp_path):
    path = save(tmp_path / "it")
    wrong = save(tmp_path / "wrong", seed=1)
    trainable = load_trainable(str(wrong))
    write_gguf(trainable, tmp_path / "wrong.gguf", "F16")
    right = load_engine(f"transformers:{path}")
    other = load_engine(f"llamacpp:{tmp_path / 'wrong.gguf'}", parallel=1, threads=1)
    checked = asyncio.run(compare_greedily(right, other, load_trainable(str(path)), PROMPTS))
    assert not checked.passed
    with pytest.raises(TrainingError, match=r"x\.gguf is not good: on \d+% of the prompts .* nats apart: "):
        require_pass(checked, "x.gguf")


def test_the_marks():
    def row(common, longest=10, gap=0.0, tokens=(5, 5)):
        return Agreement("p", tokens, ("a", "b"), common, longest, gap)

    near, far = row(5, gap=0.5), row(5, gap=0.51)
    assert Checked((row(10), row(0, 0))).passed
    assert Checked((near,) * 10).passed
    assert Checked((*[near] * 9, far)).passed
    assert not Checked((*[near] * 8, far, far)).passed
    assert Checked((*[row(10)] * 7, *[row(0, gap=0.1)] * 3)).passed
    assert not Checked((*[row(10)] * 6, *[row(0, gap=0.1)] * 4)).passed
    with pytest.raises(TrainingError, match="has 5 tokens in transformers and 6 in llama.cpp"):
        require_pass(Checked((row(10, tokens=(5, 6)),)), "x.gguf")


class Parting(Checking):
    """Finds that the texts part at the first token."""

    def run(self, trainable, model, file, adapters=None):
        assert file.name.startswith("unchecked.") and file.is_file()
        return Checked((Agreement("p", (5, 5), ("a", "b"), 0, 1, gap=9.0),))


def test_a_file_that_does_not_pass_is_deleted(tmp_path):
    path = save(tmp_path / "it")
    with pytest.raises(TrainingError, match=r"it\.F16\.gguf is not good"):
        export_model(str(path), tmp_path / "out", ["F16"], checking=Parting())
    assert [*(tmp_path / "out").iterdir()] == []
    report = export_model(str(path), tmp_path / "out", ["F16"], checking=None)
    assert report["files"]["it.F16.gguf"]["check"] is None
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [REPORT, "it.F16.gguf"]


def test_how_near_a_tie_was(tmp_path):
    trainable = load_trainable(str(save(tmp_path / "it")))
    texts = ("white horses", "white and")
    found = _agreement(trainable, "after red", (9, texts[0]), (9, texts[1]))
    a, b = (trainable.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts)
    assert a[: found.common] == b[: found.common] and a[found.common] != b[found.common]
    prompt = trainable.tokenizer.apply_chat_template([{"role": "user", "content": "after red"}], tokenize=False)
    ids = trainable.tokenizer(prompt, add_special_tokens=False)["input_ids"] + a[: found.common]
    likely = trainable.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1).detach()
    assert found.gap == pytest.approx(float(likely[a[found.common]] - likely[b[found.common]]), abs=1e-5)
    ended = _agreement(trainable, "after red", (9, ""), (9, "after"))
    first = trainable.tokenizer("after", add_special_tokens=False)["input_ids"][0]
    logits = trainable.model(torch.tensor([ids[: len(ids) - found.common]])).logits[0, -1].detach()
    assert ended.gap == pytest.approx(float(logits[trainable.tokenizer.eos_token_id] - logits[first]), abs=1e-5)
    assert _agreement(trainable, "after red", (9, "and\ufffd"), (9, "and\ufffd")).gap == 0
    assert _agreement(trainable, "after red", (9, "and\ufffd"), (9, "and\ufffd\ufffd")).gap == math.inf


def test_what_cannot_be_written_is_refused_before_anything_is(tmp_path):
    with pytest.raises(TrainingError, match="has no merges"):
        export_model(str(save_model(tmp_path / "bare")), tmp_path / "out")
    with pytest.raises(TrainingError, match="is a gpt2 model; GGUF export knows llama, mistral, qwen2, qwen3"):
        export_model(str(save_model(tmp_path / "gpt2", "gpt2")), tmp_path / "out")
    window = AutoConfig.for_model("mistral", **SIZES, sliding_window=8)
    with pytest.raises(TrainingError, match="attends over a window of 8 tokens"):
        Architecture(window, "it")
    scaled = AutoConfig.for_model(
        "llama", **SIZES, rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
    )
    with pytest.raises(TrainingError, match=r"scales its rotary embedding \(linear\)"):
        Architecture(scaled, "it")
    with pytest.raises(TrainingError, match="cuts text up in a way not known here"):
        cut_of({"pre_tokenizer": {"type": "Whitespace"}}, "it")
    scorer = AutoModelForSequenceClassification.from_pretrained(save(tmp_path / "it"), num_labels=1)
    scorer.save_pretrained(tmp_path / "it")
    with pytest.raises(TrainingError, match="is a LlamaForSequenceClassification, and GGUF files hold generative"):
        export_model(str(tmp_path / "it"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_cuts_are_named_by_what_they_do():
    for name, steps in CUTS.items():
        made = [_made(*step) for step in steps]
        layout = {"pre_tokenizer": {"type": "Sequence", "pretokenizers": made} if len(made) > 1 else made[0]}
        assert cut_of(layout, "it") == name


def _made(kind, *rest):
    if kind == "ByteLevel":
        return {"type": kind, "add_prefix_space": False, "use_regex": bool(rest)}
    if kind == "Digits":
        return {"type": kind, "individual_digits": rest == ("each",)}
    return {"type": kind, "pattern": {"Regex": rest[0]}, "behavior": "Isolated", "invert": False}
