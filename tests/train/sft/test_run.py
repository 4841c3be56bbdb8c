"""The trainer on a tiny random llama: it learns, a resumed run ends in the same bits, and what fails leaves what was good."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

from spct.errors import InputError, ResumeRefusedError, RunError, TrainingError
from spct.recipe import parse_recipe
from spct.train.common.guarded import COMPLETE, checkpoints, last_checkpoint
from spct.train.common.models import load_trainable
from spct.train.sft.recipe import SftRecipe
from spct.train.sft.run import make_trainer, run_sft
from train import small


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sft")
    small.model(path)
    small.trajectories(path)
    return path


def recipe(folder, **more):
    return parse_recipe(SftRecipe, small.recipe(folder, **more))


def weights(path):
    return (path / "model.safetensors").read_bytes()


def test_it_learns_its_data_by_heart_and_the_result_is_a_whole_model(folder, tmp_path):
    out = tmp_path / "out"
    report = run_sft(recipe(folder, steps=40, batch=8, micro_batch=8, learning_rate=1e-2, save_every=40), out)
    losses = [row["loss"] for row in report["log"] if "loss" in row]
    assert losses[0] > 4
    assert losses[-1] < 0.02
    assert (report["steps"], report["epochs"], report["data"]["trajectories"]) == (40, 40.0, 8)
    tokenizer = AutoTokenizer.from_pretrained(out / "model")
    model: Any = AutoModelForCausalLM.from_pretrained(out / "model")
    for i, word in enumerate(small.WORDS):
        turns = [{"role": "user", "content": f"after {word}"}]
        ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=False)
        text = tokenizer.decode(model.generate(ids, do_sample=False, max_new_tokens=12)[0, ids.shape[1] :])
        assert text == f"{small.WORDS[(i + 1) % 8]}!<|end|>"
    assert sorted(path.name for path in (out / "model").iterdir()) == [
        "README.md", "chat_template.jinja", "config.json", "generation_config.json",
        "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    assert "base_model: " in (out / "model" / "README.md").read_text()


@pytest.mark.parametrize(
    "more",
    [{}, {"packing": True, "max_tokens": 64}, {"lora": {"rank": 4, "dropout": 0.2}}],
    ids=["full", "packed", "lora"],
)
def test_stopped_and_resumed_equals_uninterrupted_bit_for_bit(folder, tmp_path, more):
    given = recipe(folder, **more)
    whole = run_sft(given, tmp_path / "whole")
    with pytest.raises(small.Stop):
        run_sft(given, tmp_path / "cut", say=small.stop_at("step 5 "))
    assert [path.name for path in checkpoints(tmp_path / "cut")] == ["checkpoint-2", "checkpoint-4"]
    resumed = run_sft(given, tmp_path / "cut", resume=True)
    assert weights(tmp_path / "cut" / "model") == weights(tmp_path / "whole" / "model")
    seen = [
        [(row["step"], row["loss"], row["grad_norm"]) for row in r["log"] if "loss" in row] for r in (whole, resumed)
    ]
    assert seen[0] == seen[1]
    assert (tmp_path / "cut" / "model" / "model.safetensors").stat().st_size > 10_000
    if "lora" in more:
        names = {path.name for path in (tmp_path / "cut" / "adapter").iterdir()}
        assert {"adapter_model.safetensors", "adapter_config.json", "README.md", "chat_template.jinja"} <= names


def test_a_merged_adapter_gives_what_the_base_with_it_gives(folder, tmp_path):
    from peft import PeftModel

    run_sft(recipe(folder, lora={"rank": 4}, learning_rate=1e-2), tmp_path / "out")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "model")
    base = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
    ids = torch.arange(20)[None]
    before = base(ids).logits
    adapted = PeftModel.from_pretrained(base, tmp_path / "out" / "adapter")(ids).logits
    change = (adapted - before).abs().max()
    assert change > 0.01  # the adapter does something
    assert (merged(ids).logits - adapted).abs().max() < change / 100  # rounding, whatever the processor's, and no more


def test_a_step_of_examples_by_length_is_the_step_in_any_order(folder, tmp_path, monkeypatch):
    """The same losses and gradients with less padding, whatever the micro batches are made of."""
    rows = [{"input_ids": [1 + i % 50] * length, "labels": [-100] * 2 + [1 + i % 50] * (length - 2)}
            for i, length in enumerate([3, 30, 5, 24, 9, 40, 4, 12] * 3)]  # fmt: skip
    found = {}
    for way in ("by length", "as they come"):
        if way == "as they come":
            monkeypatch.setattr("spct.train.common.token_rows.lengths_of", lambda rows: [0] * len(rows))
        given = recipe(folder, batch=8, micro_batch=2, steps=6, max_tokens=64, learning_rate=1e-3, log_every=1)
        trainable = load_trainable(given.model, given.max_tokens)
        trainer = make_trainer(given, trainable, Dataset.from_list(rows), tmp_path / way, 6, given.accumulation(1))
        trainer.train()
        padded = sum(
            2 * max(len(row) for row in trainer.train_dataset[i : i + 2]["input_ids"]) for i in range(0, 48, 2)
        )
        found[way] = padded, [(row["loss"], row["grad_norm"]) for row in trainer.state.log_history if "loss" in row]
    (less, steps), (more, others) = found.values()
    assert less < 0.8 * more
    assert len(steps) == 6
    np.testing.assert_allclose(steps, others, rtol=1e-2)
    assert steps[0] == pytest.approx(others[0], rel=1e-4)  # Adam makes steps of what is rounding in gradients near 0


def test_packed_examples_do_not_see_each_other(folder, tmp_path):
    rows = [{"input_ids": list(range(i, i + 9)), "labels": [-100] * 4 + list(range(i + 4, i + 9))} for i in range(4)]
    losses = []
    for packing in (False, True):
        given = recipe(folder, packing=packing, max_tokens=64, batch=1 if packing else 4, micro_batch=1, steps=1)
        data = Dataset.from_list(rows)
        if packing:
            from trl.data_utils import pack_dataset

            data = pack_dataset(data, 64, "bfd")
            assert [row["seq_lengths"] for row in data] == [[9, 9, 9, 9]]
        trainable = load_trainable(given.model, given.max_tokens)
        out = tmp_path / str(packing)
        trainer = make_trainer(given, trainable, data, out, 1, given.accumulation(1))
        trainer.train()
        losses.append(trainer.state.log_history[0]["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_a_finished_stage_is_left_alone_and_another_one_is_not_mixed_in(folder, tmp_path):
    given, out = recipe(folder, steps=2), tmp_path / "out"
    report = run_sft(given, out)
    said = []
    again = run_sft(given, out, say=said.append)
    assert (again, said) == (report, [f"{out} is finished already"])
    other = recipe(folder, steps=4)
    with pytest.raises(RunError, match="already holds training; add --resume"):
        run_sft(other, out)
    with pytest.raises(ResumeRefusedError, match=r"recipe\.steps: 2 there, 4 now"):
        run_sft(other, out, resume=True)
    kept = weights(out / "model")
    (out / "model" / "model.safetensors").write_bytes(b"damaged")
    run_sft(given, out, resume=True)
    assert weights(out / "model") == kept


def test_a_loss_that_is_no_number_stops_before_the_weights_are_spoilt(folder, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(TrainingError, match=r"is (nan|inf) in step \d.*checkpoint-1.*Lower the learning rate") as error:
        run_sft(recipe(folder, learning_rate=1e30, warmup=0, save_every=1), out)
    good = last_checkpoint(out)
    assert str(good) in str(error.value)
    model = AutoModelForCausalLM.from_pretrained(good)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert not (out / "manifest.json").exists()


def test_a_full_disk_leaves_the_last_good_checkpoint(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    given = recipe(folder, steps=6, save_every=1, keep=2)
    one = 2 * _size_of_a_checkpoint(folder, tmp_path)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={int(one * 0.9)}", "tmpfs", str(out)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        with pytest.raises(
            RunError, match=r"checkpoint-2: the checkpoint cannot be written: .*the last good one is"
        ) as error:
            run_sft(given, out)
        assert "Free some space and go on with --resume" in str(error.value)
        assert [path.name for path in out.glob("checkpoint-*")] == ["checkpoint-1"]
        subprocess.run(["mount", "-o", f"remount,size={one * 4}", str(out)], check=True)
        run_sft(given, out, resume=True)
        run_sft(given, tmp_path / "whole")
        assert weights(out / "model") == weights(tmp_path / "whole" / "model")
    finally:
        subprocess.run(["umount", "-l", str(out)], check=True)


def _size_of_a_checkpoint(folder, tmp_path):
    run_sft(recipe(folder, steps=1), tmp_path / "probe")
    return sum(file.stat().st_size for file in (tmp_path / "probe" / "checkpoint-1").iterdir())


def test_a_checkpoint_that_was_cut_short_is_not_gone_on_from(folder, tmp_path):
    given, out = recipe(folder), tmp_path / "out"
    with pytest.raises(small.Stop):
        run_sft(given, out, say=small.stop_at("step 5 "))
    (out / "checkpoint-4" / COMPLETE).unlink()  # as if killed while it was written
    (out / "checkpoint-4" / "model.safetensors").write_bytes(b"half")
    said = []
    run_sft(given, out, resume=True, say=said.append)
    assert "going on from checkpoint-2" in said


def test_a_base_model_without_a_chat_template_and_a_context_too_small(folder, tmp_path):
    bare = small.model(tmp_path, template=None)
    with pytest.raises(TrainingError, match="has no chat template"):
        run_sft(recipe(folder, model=str(bare)), tmp_path / "out")
    with pytest.raises(InputError, match="lora.targets: the model has no module 'q'; it has down_proj, "):
        run_sft(recipe(folder, lora={"targets": ["q"]}), tmp_path / "out")
    with pytest.raises(InputError, match="lora.targets: the pattern '.*x' is the whole name of no module"):
        run_sft(recipe(folder, lora={"targets": ".*x"}), tmp_path / "out")
    with pytest.raises(TrainingError, match="max_tokens is 512, and the model .* has a context of 256"):
        run_sft(recipe(folder, max_tokens=512), tmp_path / "out2")
    with pytest.raises(InputError, match="line 1: .* tokens, .* of them the prompt, and the context is 16"):
        run_sft(recipe(folder, max_tokens=16), tmp_path / "out3")


def test_a_stage_that_was_refused_is_begun_anew_once_its_input_is_mended(folder, tmp_path):
    given, out = recipe(folder, trajectories=str(tmp_path / "own.jsonl"), steps=1), tmp_path / "out"
    small.jsonl(tmp_path / "own.jsonl", [{"messages": [{"role": "user", "content": "a"}]}])
    with pytest.raises(InputError, match="line 1: got no 'completion'"):
        run_sft(given, out)
    small.jsonl(tmp_path / "own.jsonl", [{"messages": [{"role": "user", "content": "a"}], "completion": "b"}])
    with pytest.raises(InputError, match="lora.targets"):  # the token rows are there by now
        run_sft(recipe(folder, trajectories=str(tmp_path / "own.jsonl"), steps=1, lora={"targets": ["q"]}), out)
    small.trajectories(tmp_path).rename(tmp_path / "own.jsonl")
    assert run_sft(given, out)["data"]["trajectories"] == 8


def test_steps_come_from_epochs_where_those_are_given(folder, tmp_path):
    given = recipe(folder, steps=None, epochs=1.5)
    assert run_sft(given, tmp_path / "out")["steps"] == 3
    assert Path(given.inputs[0]).name == "trajectories.jsonl"
