"""Runs and training folders to look at, made once."""

from __future__ import annotations

import asyncio
import json
import os
import shutil

import pytest

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
    """A folder of two runs over the same items and two stages of training, not to be changed."""
    folder = tmp_path_factory.mktemp("runs")
    asyncio.run(make_run(folder / "small"))
    asyncio.run(make_run(folder / "deep" / "other", ITEMS[:5], otherwise, name="other"))
    make_stages(folder / "train")
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


@pytest.fixture
def own_runs(runs, tmp_path):
    """A copy of them, to label or to delete."""
    return shutil.copytree(runs, tmp_path / "runs")
