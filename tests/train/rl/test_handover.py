"""The same training for verl and OpenRLHF, without either (``benchmarks/handover.py`` has them read it)."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("trl")

from pyarrow import parquet
from pydantic import PrivateAttr

from spct.cli.train.rl import rl
from spct.errors import InputError
from spct.items import read_items
from spct.train.rl.handover.folder import hand_over
from spct.train.rl.handover.openrlhf import OPENRLHF, arguments
from spct.train.rl.handover.verl import VERL, config
from spct.train.rl.prompts import Schedule, Templates
from spct.train.rl.recipe import RLRecipe
from spct.train.rl.reward import score_rollout
from train.rl.toy import ANSWERS, CONTROL, toy_recipe


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A recipe over thirty items, more than two epochs of them, and what was handed over."""
    path = tmp_path_factory.mktemp("handover")
    recipe = toy_recipe(path, steps=12, batch=6, heldout={"path": str(path / "heldout.jsonl")})
    out = path / "verl"
    said: list[str] = []
    report = hand_over("verl", recipe, out, said.append)
    assert said[:3] == [
        "not handed over, since verl has its own: micro_batch, device",
        "launch.sh 64 will not start: batch 6 x group 4 is 24 rollouts, and 64 GPUs need a multiple of 64",
        "where verl runs, the reward needs spct too: pip install 'spct[client]'",
    ]
    return recipe, out, report


class Measured:
    """What the words need of the prompts: their longest, and that there are no held-out items."""

    longest, heldout = 1000, None


def rows(path):
    return parquet.read_table(path).to_pylist()


def test_every_visit_of_the_training_is_a_row_in_its_order(toy):
    recipe, out, report = toy
    schedule = Schedule(
        list(read_items(recipe.data)), Templates(recipe.template, recipe.single_template), seed=recipe.seed,
        special_tokens=CONTROL,
    )  # fmt: skip
    found = rows(out / "train.parquet")
    assert len(found) == report["prompts"] == 72
    for visit, row in enumerate(found):
        prompt = schedule.prompt(visit)
        assert row["prompt"] == prompt.turns
        assert row["extra_info"] == {"index": visit, "id": prompt.item.id, "split": "train"}
        assert json.loads(row["reward_model"]["ground_truth"])["order"] == list(prompt.order)
    held = rows(out / "validation.parquet")
    assert len(held) == report["heldout"] == 18
    assert {row["extra_info"]["split"] for row in held} == {"test"}


def test_the_reward_file_gives_what_this_training_would(toy):
    recipe, out, _ = toy
    compute_score = runpy.run_path(str(out / "reward.py"))["compute_score"]
    schedule = Schedule(
        list(read_items(recipe.data)), Templates(recipe.template, recipe.single_template), seed=recipe.seed
    )
    seen = set()
    for visit, row in enumerate(rows(out / "train.parquet")):
        prompt = schedule.prompt(visit)
        for finish in ("stop", "length"):
            for text in (*ANSWERS, f"{ANSWERS[2]} and then", ""):
                known = {**row["extra_info"], "finish": finish}
                wanted = score_rollout(text, finish, prompt.item, prompt.order, prompt.template)
                found = compute_score("spct", text, row["reward_model"]["ground_truth"], known)
                assert found["score"] == wanted.reward
                seen.add((wanted.grade, found["acc"], found["tied"], found["invalid"]))
    assert seen == {("correct", 1, 0, 0), ("wrong", 0, 0, 0), ("tied", 0, 1, 0), ("invalid", 0, 0, 1)}


def test_a_row_of_another_origin_has_no_reward(toy):
    compute_score = runpy.run_path(str(toy[1] / "reward.py"))["compute_score"]
    for truth in ("", "72", '{"order": 3}', "null"):
        with pytest.raises(InputError, match="expected what spct train rl --to wrote"):
            compute_score("spct", "text", truth)


def test_the_papers_figures_stand_in_verls_words():
    found = config(RLRecipe(model="m", data=Path("d")), "m", Measured)
    actor, rollout, data = found["actor_rollout_ref"]["actor"], found["actor_rollout_ref"]["rollout"], found["data"]
    assert (data["train_batch_size"], actor["ppo_mini_batch_size"], actor["ppo_epochs"], rollout["n"]) == (
        512,
        512,
        1,
        4,
    )
    assert (actor["optim"]["lr"], actor["optim"]["lr_scheduler_type"], actor["optim"]["lr_warmup_steps_ratio"]) == (
        4e-7,
        "constant",
        0,
    )
    assert (actor["use_kl_loss"], actor["kl_loss_coef"], actor["kl_loss_type"]) == (True, 0.08, "low_var_kl")
    assert (actor["clip_ratio"], actor["clip_ratio_low"], actor["clip_ratio_high"]) == (0.2, 0.2, 0.2)
    assert actor["loss_agg_mode"] == "seq-mean-token-mean"
    assert found["algorithm"] == {"adv_estimator": "grpo", "norm_adv_by_std_in_grpo": True, "use_kl_in_reward": False}
    assert found["trainer"]["total_training_steps"] == 900
    assert (data["max_prompt_length"], data["max_response_length"], data["shuffle"]) == (1024, 1024, False)
    assert actor["ppo_max_token_len_per_gpu"] == 16384


def test_a_configuration_for_each_number_of_gpus(toy):
    _, out, report = toy
    gpus = {}
    for name in ("gpus-1", "gpus-8", "gpus-64"):
        found = yaml.safe_load((out / f"{name}.yaml").read_text())
        assert found["defaults"] == ["spct", "_self_"]
        gpus[name] = found["trainer"]["nnodes"] * found["trainer"]["n_gpus_per_node"]
    assert gpus == {"gpus-1": 1, "gpus-8": 8, "gpus-64": 64}
    assert all((out / name).exists() for name in report["files"])
    assert yaml.safe_load((out / "spct.yaml").read_text())["actor_rollout_ref"]["model"]["path"].startswith("/")


def test_the_script_starts_verl_with_the_files_of_its_folder(toy, tmp_path):
    _, out, _ = toy
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["bash", os.path.relpath(out / "launch.sh", tmp_path), "8", "trainer.seed=3"]
    told = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True).stdout.split("\n")
    assert told[:6] == ["-m", "verl.trainer.main_ppo", "--config-dir", str(out), "--config-name", "gpus-8"]
    assert told[6:11] == [
        f"data.train_files={out}/train.parquet",
        f"data.val_files={out}/validation.parquet",
        f"reward.custom_reward_function.path={out}/reward.py",
        f"trainer.default_local_dir={out}/checkpoints",
        "trainer.seed=3",
    ]


def test_what_cannot_be_handed_over_is_said_before_anything_is_written(toy, tmp_path):
    recipe, out, _ = toy
    with pytest.raises(InputError, match="holds what was handed over before"):
        hand_over("verl", recipe, out)
    cases = {
        "verl reads no GGUF file": {"model": "smollm2-135m"},
        "schedule is linear": {"schedule": "linear"},
        "verl has none; use 0": {"lora": {"dropout": 0.1}},
        "OpenRLHF does not have; use tensorboard or wandb": {"report_to": ("tensorboard", "trackio")},
    }
    for said, change in cases.items():
        changed = RLRecipe.model_validate({**recipe.model_dump(), **change})
        with pytest.raises(InputError, match=said):
            hand_over("openrlhf" if "OpenRLHF" in said else "verl", changed, tmp_path / "new", lambda _: None)
        assert not (tmp_path / "new").exists()


def test_the_command_line_writes_the_folder_and_takes_no_launch(toy, tmp_path):
    recipe, _, _ = toy
    (tmp_path / "rl.yaml").write_text(recipe.model_dump_json(exclude={"out"}))
    command = [str(tmp_path / "rl.yaml"), "--to", "verl", str(tmp_path / "out")]
    ran = CliRunner().invoke(rl, [*command, "--steps", "2", "--json"], standalone_mode=False)
    assert ran.return_value == 0, ran.output
    assert json.loads(ran.stdout) == json.loads((tmp_path / "out" / "handover.json").read_text())
    assert len(rows(tmp_path / "out" / "train.parquet")) == 12
    assert isinstance(CliRunner().invoke(rl, [*command, "--resume"]).exception, InputError)


@pytest.fixture(scope="module")
def for_openrlhf(toy, tmp_path_factory):
    """What was handed over to OpenRLHF, of the same recipe."""
    out = tmp_path_factory.mktemp("openrlhf") / "out"
    said: list[str] = []
    report = hand_over("openrlhf", toy[0], out, said.append)
    assert said[:3] == [
        "not handed over, since openrlhf has its own: device",
        # micro_batch is 8 here, and is handed over: 24 rollouts are three of those
        "launch.sh 8 will not start: batch 6 x group 4 is 24 rollouts, and 8 GPUs need a multiple of 64",
        "launch.sh 64 will not start: batch 6 x group 4 is 24 rollouts, and 64 GPUs need a multiple of 512",
    ]
    return toy[0], out, report


def test_openrlhf_gets_the_same_prompts_as_text(toy, for_openrlhf):
    _, out, report = for_openrlhf
    ours, theirs = rows(toy[1] / "train.parquet"), rows(out / "train.parquet")
    assert [row["label"] for row in theirs] == [row["reward_model"]["ground_truth"] for row in ours]
    assert theirs[0]["prompt"] == f"<|user|> {ours[0]['prompt'][0]['content']} <|end|> <|assistant|>"
    assert len(rows(out / "validation.parquet")) == report["heldout"] == 18


def test_openrlhfs_reward_file_knows_by_the_end_token_what_was_cut_off(for_openrlhf):
    recipe, out, _ = for_openrlhf
    reward_func = runpy.run_path(str(out / "reward.py"))["reward_func"]
    schedule = Schedule(
        list(read_items(recipe.data)), Templates(recipe.template, recipe.single_template), seed=recipe.seed
    )
    for visit, row in enumerate(rows(out / "train.parquet")):
        prompt = schedule.prompt(visit)
        texts = [*ANSWERS, f"{ANSWERS[2]} and then"]
        for end, finish in (("<|end|>", "stop"), ("", "length")):
            queries = [f"{row['prompt']}{text}{end}" for text in texts]
            found = reward_func(queries, [row["prompt"]] * len(texts), [row["label"]] * len(texts))
            wanted = [score_rollout(text, finish, prompt.item, prompt.order, prompt.template) for text in texts]
            assert found["rewards"] == [one.reward for one in wanted]
            assert found["extra_logs"]["invalid"] == [float(one.grade == "invalid") for one in wanted]


def test_openrlhfs_script_has_the_recipe_and_the_size(for_openrlhf, tmp_path):
    _, out, _ = for_openrlhf
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["bash", str(out / "launch.sh")]
    said = subprocess.run(
        [*command, "64", "--train.seed", "3"], env=env, capture_output=True, text=True, check=True
    ).stdout
    told = said.split("\n")
    after = {name: told[place + 1] for place, name in enumerate(told) if name.startswith("--")}
    assert told[:2] == ["-m", "openrlhf.cli.train_ppo_ray"]
    assert after["--reward.remote_url"] == f"{out}/reward.py"
    assert (after["--actor.num_nodes"], after["--actor.num_gpus_per_node"]) == ("8", "8")
    assert int(after["--vllm.num_engines"]) * int(after["--vllm.tensor_parallel_size"]) == 64
    assert (after["--rollout.batch_size"], after["--rollout.n_samples_per_prompt"], after["--train.batch_size"]) == (
        "6",
        "4",
        "24",
    )
    assert (after["--algo.kl.init_coef"], after["--algo.kl.estimator"], after["--algo.advantage.estimator"]) == (
        "0.08", "k3", "group_norm",
    )  # fmt: skip
    assert after["--train.seed"] == "3" and "--algo.kl.use_loss" in told
    assert subprocess.run([*command, "3"], env=env, capture_output=True, check=False).returncode == 2


READ_FOR_EVERY_TRAINER = {
    "data", "heldout", "max_tokens", "model", "on_long", "out", "template", "single_template", "steps", "too_easy",
}  # fmt: skip
"""Keys that the folder's prompts and files are made by."""


class Watched(RLRecipe):
    """A recipe that notes which of its keys are read."""

    _read: set[str] = PrivateAttr(default_factory=set)

    def __getattribute__(self, name):
        if name in RLRecipe.model_fields:
            self._read.add(name)
        return super().__getattribute__(name)


@pytest.mark.parametrize("words, trainer", [(config, VERL), (arguments, OPENRLHF)], ids=["verl", "openrlhf"])
def test_every_key_of_a_recipe_is_handed_over_or_named_as_left_out(words, trainer):
    recipe = Watched(model="m", data=Path("d"), schedule="cosine")  # a constant one has no warmup
    recipe._read.clear()
    words(recipe, "m", Measured)
    handed = recipe._read | READ_FOR_EVERY_TRAINER | {"seed"}  # the seed orders the prompts for both
    assert handed | set(trainer.own) == set(RLRecipe.model_fields)
    assert handed & set(trainer.own) == set()


def test_openrlhf_is_given_wandb_without_a_key():
    given = dict(line for line in arguments(
        RLRecipe(model="m", data=Path("d"), report_to=("wandb",)), "m", Measured
    ) if len(line) == 2)  # fmt: skip
    assert (given["--logger.wandb.key"], given["--logger.wandb.project"]) == ("True", "spct")
    assert "--logger.tensorboard_dir" not in given


def test_the_papers_batch_fits_every_number_of_gpus():
    assert VERL.too_many(RLRecipe(model="m", data=Path("d"))) == {}
    assert OPENRLHF.too_many(RLRecipe(model="m", data=Path("d"), micro_batch=32)) == {}
    assert OPENRLHF.too_many(RLRecipe(model="m", data=Path("d"), micro_batch=64)) == {64: 4096}


@pytest.mark.parametrize("trainer", ["verl", "openrlhf"])
def test_the_reward_file_needs_nothing_but_the_clients_extra(toy, for_openrlhf, trainer):
    out = toy[1] if trainer == "verl" else for_openrlhf[1]
    extras = ("torch", "transformers", "trl", "datasets", "pyarrow", "numpy", "fastapi", "uvicorn", "ray")
    script = (
        f"import sys, runpy; sys.modules.update(dict.fromkeys({extras})); runpy.run_path({str(out / 'reward.py')!r})"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False).stderr == ""
    assert f"{'verl' if trainer == 'verl' else 'OpenRLHF'} and spct[client].\n" in (out / "launch.sh").read_text()
