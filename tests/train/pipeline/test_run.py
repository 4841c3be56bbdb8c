"""A whole recipe in a toy world: every stage runs, the report has its figures, a killed stage ends where an unbroken one does."""

import json
import shutil
import signal
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

pytest.importorskip("trl")

from accelerate.commands.config.config_args import load_config_from_file

from spct.cli import spct
from spct.train import STAGES
from train import forked
from train import pipeline_world as toy

LAUNCHES = sorted((Path(__file__).parents[3] / "examples" / "launch").glob("*.yaml"))


def run(recipe, out, *more):
    done = CliRunner().invoke(spct, ["train", "all", str(recipe), "--out", str(out), *more], catch_exceptions=False)
    assert done.exit_code in (0, 1), done.output
    return done


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The recipe, its output directory, and the report."""
    path = tmp_path_factory.mktemp("world")
    recipe = toy.write(path / "all.yaml", toy.world(path))
    done = run(recipe, path / "out", "--json")
    return recipe, path / "out", json.loads(done.stdout)


def planned(recipe, out, *more):
    rows = json.loads(run(recipe, out, "--dry-run", "--json", *more).stdout)
    return {row["job"].rsplit("-", 1)[0] for row in rows if row["runs"]}


def test_every_stage_is_in_the_report(trained):
    _, out, report = trained
    assert report == json.loads((out / "report.json").read_text())
    main = report["branches"]["main"]
    assert [job["name"] for job in main["jobs"]] == [
        "data", "rft", "sft", "rl", "samples", "meta", "bench-items-base", "bench-items-sft", "bench-items-rl"
    ]  # fmt: skip
    assert all(job["done"] and (out / job["directory"]).is_dir() for job in main["jobs"])
    stages = main["stages"]
    assert stages["sft"]["data"]["trajectories"] == stages["rft"]["trajectories"] > 0
    assert stages["sft"]["steps"] == 8
    assert [row["step"] for row in stages["rl"]["train"]] == [1, 2]
    assert [row["step"] for row in stages["rl"]["heldout"]] == [0, 1, 2]
    assert len(stages["meta"]["curves"]) == 2
    assert report["unused"] == []


def test_every_model_is_measured_on_the_same_items(trained):
    _, out, report = trained
    found = report["branches"]["main"]["bench"]["items"]
    heldout = (out / report["branches"]["main"]["jobs"][0]["directory"] / "heldout.jsonl").read_text().splitlines()
    assert found["items"] == len(heldout)
    votes = {(row["model"], row["vote"], row["k"]) for row in found["points"]}
    plain = {
        (model, vote, k)
        for model in ("base", "sft", "rl")
        for vote, k in [("greedy", 1), *(("plain", k) for k in (1, 2, 4))]
    }
    assert votes == plain | {("rl", "guided", k) for k in (1, 2, 4)}
    accuracy = {row["model"]: row["strict"]["value"] for row in found["points"] if row["vote"] == "greedy"}
    rl = report["branches"]["main"]["stages"]["rl"]
    assert accuracy["sft"] == pytest.approx(
        rl["heldout"][0]["eval_accuracy"]
    )  # what RL measures is what bench measures
    assert accuracy["rl"] == pytest.approx(rl["best_accuracy"])
    last = {row["model"]: row["strict"]["value"] for row in found["points"] if (row["vote"], row["k"]) == ("plain", 4)}
    for change in found["changes"]:
        assert change["difference"]["value"] == pytest.approx(last[change["to"]] - last[change["from"]])
    assert [(change["from"], change["to"]) for change in found["changes"]] == [("base", "sft"), ("sft", "rl")]


def test_the_ablation_shares_what_it_does_not_change(trained):
    _, out, report = trained
    at = {
        name: {job["name"]: job["directory"] for job in branch["jobs"]} for name, branch in report["branches"].items()
    }
    assert {name for name in at["no-hinted"] if at["no-hinted"][name] == at["main"][name]} == {
        "data",
        "bench-items-base",
    }
    assert set(at["no-hinted"]) == {"data", "rft", "sft", "bench-items-base", "bench-items-sft"}
    assert not (out / at["no-hinted"]["rft"] / "hinted").exists()
    text = (out / "report.md").read_text()
    assert "| no-hinted | items | sft | 4 |" in text
    assert text.count("### Data") == 1


def test_what_is_done_is_skipped_and_a_changed_key_runs_what_depends_on_it(trained):
    recipe, out, report = trained
    before = {path: path.stat().st_mtime_ns for path in out.glob("*-*.json")}
    assert planned(recipe, out) == set()
    assert json.loads(run(recipe, out, "--json").stdout) == report
    assert {path: path.stat().st_mtime_ns for path in out.glob("*-*.json")} == before
    assert planned(recipe, out, "--set", "meta.patience=9") == {"meta", "bench-items-rl"}
    assert planned(recipe, out, "--set", "bench.k=2") == {"bench-items-base", "bench-items-sft", "bench-items-rl"}


DEATHS = {
    "data": "source items: ",
    "rft": "done: ",  # between the judgments without hints and those with
    "sft": "step 5 of 8",
    "rl": "step 2/2",
    "samples": "judging ",
    "meta": "step 2 of 2",
    "bench": "done: 29/29",  # before the greedy ones
}
"""What each stage is about to say when it is killed."""


def test_killed_in_every_stage_it_ends_where_an_unbroken_run_does(trained, tmp_path):
    recipe, whole, report = trained
    main = toy.write(tmp_path / "main.yaml", yaml.safe_load(recipe.read_text()) | {"ablations": {}})
    at = {job["name"]: job["directory"] for job in report["branches"]["main"]["jobs"]}
    out = tmp_path / "out"
    assert set(DEATHS) == set(STAGES) - {
        "gguf",
        "baselines",
        "export",
    }  # the world has none; test_baselines resumes those
    for stage, words in DEATHS.items():
        died = forked.spct(tmp_path / "said.txt", "train", "all", main, "--out", out, dies_at=words)
        died.join(120)
        assert died.exitcode == -signal.SIGKILL, (tmp_path / "said.txt").read_text()
        name = "bench-items-base" if stage == "bench" else stage
        assert f"spct {'data build' if stage == 'data' else stage if stage == 'bench' else 'train'}" in last_command(
            tmp_path
        )
        assert not (out / f"{at[name]}.json").exists() and (out / at[name]).is_dir()
    done = run(main, out, "--json")
    assert "bench-items-base: begun and not finished: goes on" in done.stderr
    for name in ("data/train.jsonl", "data/heldout.jsonl", "rft/trajectories.jsonl", "samples/trajectories.jsonl",
                 "sft/model/model.safetensors", "rl/model/model.safetensors", "meta/model/model.safetensors"):  # fmt: skip
        stage, _, file = name.partition("/")
        assert (out / at[stage] / file).read_bytes() == (whole / at[stage] / file).read_bytes(), name
    found = [each["branches"]["main"] for each in (json.loads(done.stdout), report)]
    assert found[0]["bench"] == found[1]["bench"]
    logs = [[row["loss"] for row in branch["stages"]["sft"]["log"] if "loss" in row] for branch in found]
    assert logs[0] == logs[1] and len(logs[0]) == 8


def last_command(folder):
    return [line for line in (folder / "said.txt").read_text().splitlines() if line.startswith("spct ")][-1]


def test_a_stage_that_fails_leaves_its_error_and_the_report_of_what_is_done(trained, tmp_path):
    recipe, whole, _ = trained
    values = yaml.safe_load(recipe.read_text()) | {"ablations": {}}
    values["sft"]["max_tokens"] = 8
    broken = toy.write(tmp_path / "broken.yaml", values)
    shutil.copytree(whole, tmp_path / "out")
    done = CliRunner().invoke(spct, ["train", "all", str(broken), "--out", str(tmp_path / "out")])
    assert type(done.exception).__name__ == "InputError"
    assert "and the context is 8; raise max_tokens if the model can" in str(done.exception)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert {job["name"]: job["done"] for job in report["branches"]["main"]["jobs"]} == {
        "data": True, "rft": True, "sft": False, "rl": False, "samples": True, "meta": True,
        "bench-items-base": True, "bench-items-sft": False, "bench-items-rl": False,
    }  # fmt: skip


@pytest.mark.parametrize("path", LAUNCHES, ids=lambda path: path.name)
def test_accelerate_takes_the_shipped_configurations(path):
    config = load_config_from_file(str(path))  # an unknown key is an error
    assert config.num_processes % config.num_machines == 0
    if config.fsdp_config:
        assert config.fsdp_config["fsdp_version"] == 2
        assert config.fsdp_config["fsdp_state_dict_type"] == "FULL_STATE_DICT"  # else no whole model is written
    if config.deepspeed_config:
        assert config.deepspeed_config["zero_stage"] == 3
