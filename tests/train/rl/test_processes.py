"""Two processes over gloo do what one does, through the command line; a group may lie across both."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

import yaml  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from train.rl.toy import toy_recipe  # noqa: E402


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(recipe: Path, out: Path, processes: int) -> dict[str, object]:
    command = [
        sys.executable,
        "-c",
        "from spct.cli import main; main()",
        "train",
        "rl",
        str(recipe),
        "--out",
        str(out),
        "--json",
    ]
    started = []
    port = str(free_port())
    for rank in range(processes):
        env = dict(os.environ, OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")
        if processes > 1:
            env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
            env |= {"LOCAL_WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True))
    ended = [process.communicate(timeout=240) for process in started]
    for process, (_, errors) in zip(started, ended, strict=True):
        assert process.returncode == 0, errors[-2000:]
    assert all(not text for text, _ in ended[1:])  # only the main process speaks
    return json.loads(ended[0][0])


def test_two_processes_match_one(tmp_path: Path) -> None:
    """A step has 3 prompts x 4 rollouts: the second prompt's group is shared by both processes."""
    heldout = {"path": str(tmp_path / "heldout.jsonl"), "vote_k": 2}
    checked = toy_recipe(tmp_path, steps=4, batch=9, micro_batch=6, heldout=heldout)
    recipe = tmp_path / "rl.yaml"
    recipe.write_text(yaml.safe_dump(checked.model_dump(mode="json")))
    one, two = run(recipe, tmp_path / "one", 1), run(recipe, tmp_path / "two", 2)
    for name in ("heldout", "train"):
        for row, other in zip(one[name], two[name], strict=True):
            timeless = {key: value for key, value in row.items() if key != "step_time"}
            assert timeless == pytest.approx({key: other[key] for key in timeless}, abs=1e-4)
    first, second = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("one", "two"))
    moved = load_file(tmp_path / "model" / "model.safetensors")
    assert any(not torch.equal(moved[name], first[name]) for name in first)
    for name in first:
        assert torch.allclose(first[name], second[name], atol=2e-4), name
