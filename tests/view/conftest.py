"""Runs and training folders to look at, made once."""

from __future__ import annotations

import asyncio
import json
import os
import shutil

import pytest

from spct.bench.scoring.results import Scoring, score_run, write_results
from spct.bench.scoring.stored import open_stored
from view.runs import ITEMS, make_run, script


def otherwise(request, j):
    """A second judge: on "river" it chooses otherwise."""
    sample = script(request, j)
    if "Vienna" not in request.messages[-1].content:
        return sample
    return (
        "\\boxed{1, 9}" if "\nThe Rhine." in request.messages[-1].content.split("\nThe Danube.")[0] else "\\boxed{9, 1}"
    )


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """A folder of two runs over the same items, a benchmark's report, two stages of training and a pipeline; not to be changed."""
    folder = tmp_path_factory.mktemp("runs")
    asyncio.run(make_run(folder / "small"))
    asyncio.run(make_run(folder / "deep" / "other", ITEMS[:5], otherwise, name="other"))
    make_stages(folder / "train")
    make_pipeline(folder / "all")
    write_results([score_run(open_stored(folder / "small"), Scoring(ks=(1, 6), replicates=20))], folder / "bench")
    return folder


def make_stages(folder):
    """A finished stage, and one that was stopped behind its second checkpoint."""
    steps = [{"step": n, "reward": n / 10, "accuracy": 0.5, "epoch": n} for n in (1, 2, 3)]
    evals = [{"step": n, "eval_accuracy": n / 4} for n in (0, 3)]
    texts = {
        "rl/stage.json": {"stage": "rl", "recipe": {"steps": 3, "learning_rate": 1e-6, "lora": None}},
        "rl/report.json": {"steps": 3, "best_accuracy": 0.75, "train": steps, "heldout": evals},
        "rl/manifest.json": {},
        "sft/stage.json": {"stage": "sft", "recipe": {}},
        "sft/checkpoint-1/trainer_state.json": {"log_history": [{"step": 1, "loss": 2.0}]},
        "sft/checkpoint-2/trainer_state.json": {"log_history": [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5}]},
        "torn/stage.json": None,
    }
    for place, (name, content) in enumerate(texts.items()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{" if content is None else json.dumps(content))
        os.utime(folder / name, (1e9 + place, 1e9 + place))


def make_pipeline(folder):
    """One job done, one stopped with rollouts of two steps, one not begun."""
    jobs = ["data-0000000a", "rl-0000000b", "bench-items-base-0000000c"]
    rollouts = [
        {"text": "Response 2 is better. \\boxed{2, 9}", "finish": "stop", "reward": 1.0, "grade": "correct",
         "shown": [2, 9], "problem": None},
        {"text": "<b>nothing</b>", "finish": "stop", "reward": -1.0, "grade": "invalid", "shown": None,
         "problem": "no_box: no box"},
    ]  # fmt: skip
    group = {"visit": 0, "item": "prime", "order": [1, 0], "best": 0, "prompt": [{"role": "user", "content": "Judge."}]}
    texts = {
        f"{jobs[0]}.yaml": {},
        f"{jobs[0]}.json": {"last_session_s": 63.4},
        f"{jobs[0]}/report.json": {"stage": "data", "items": 7},
        f"{jobs[1]}.yaml": {},
        f"{jobs[1]}/stage.json": {"stage": "rl", "recipe": {}},
        f"{jobs[1]}/rollouts/step-000001.jsonl": {**group, "rollouts": rollouts[1:]},
        f"{jobs[1]}/rollouts/step-000003.jsonl": {**group, "rollouts": rollouts},
        "report.json": {"branches": {"main": {"jobs": [{"directory": name} for name in jobs]}}},
    }
    for name, content in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    (folder / "report.md").write_text("# Training report\n\n| job | done |\n| --- | --- |\n| data | yes |\n")


@pytest.fixture
def own_runs(runs, tmp_path):
    """A copy of them, to label or to delete."""
    return shutil.copytree(runs, tmp_path / "runs")
