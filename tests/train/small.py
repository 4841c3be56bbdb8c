"""A tiny model and tiny data for training: one token per byte, prompts of a few words, so that a step takes milliseconds."""

import json
import math
import shutil
from pathlib import Path

from safetensors.torch import load_file

from engines.tiny_models import save_model

WORDS = ("red", "blue", "green", "white", "black", "brown", "pink", "grey")


class Stop(Exception):
    """What a user's Ctrl-C does, at a chosen line."""


def stop_at(words: str):
    def say(line: str) -> None:
        if line.startswith(words):
            raise Stop

    return say


def model(path: Path, **more) -> Path:
    return save_model(path / "base", **more)


def trajectories(path: Path, count: int = 8) -> Path:
    """Each word as a prompt, its answer the next word; every other one was hinted."""
    rows = [
        {
            "id": f"{i}#0",
            "messages": [{"role": "user", "content": f"after {WORDS[i % 8]}"}],
            "completion": f"{WORDS[(i + 1) % 8]}!",
            "hinted": i % 2 == 1,
            "source": "words",
        }
        for i in range(count)
    ]
    return jsonl(path / "trajectories.jsonl", rows)


def without_result(out: Path, moved: Path) -> Path:
    """A finished stage as one that was killed after its last checkpoint, in another place."""
    shutil.rmtree(out / "model")
    (out / "manifest.json").unlink()
    return out.rename(moved)


def general(path: Path, count: int = 20) -> Path:
    turns = [[{"role": "user", "content": f"say {i}"}, {"role": "assistant", "content": str(i)}] for i in range(count)]
    return jsonl(path / "general.jsonl", [{"messages": row} for row in turns])


def apart(start: Path, one: Path, other: Path) -> float:
    """How far two trainings from the same weights ended from each other, as a share of the way that the first went.

    All three are folders of models. Adam makes steps of one size of gradients of any size, so that a single weight whose
    gradient is next to nothing may go another way by rounding alone: a bound on each weight would be one of luck. Two
    trainings that differ by rounding alone are 1e-6 to 1e-4 apart, also where one of them rounds to 18 bits; two that
    weigh the tokens of a step otherwise 0.02.
    """
    begun, first, second = (load_file(folder / "model.safetensors") for folder in (start, one, other))
    assert first.keys() == second.keys()
    common = [name for name in first if name in begun]
    way = sum(float((first[name] - begun[name]).square().sum()) for name in common)
    gap = sum(float((first[name] - second[name]).square().sum()) for name in first)
    return math.sqrt(gap / way)


def jsonl(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def recipe(path: Path, **more):
    """Values of a recipe over ``model`` and ``trajectories`` in ``path``, which must be there."""
    values = {
        "model": str(path / "base"),
        "trajectories": str(path / "trajectories.jsonl"),
        "learning_rate": 1e-3,
        "batch": 4,
        "micro_batch": 2,
        "steps": 6,
        "save_every": 2,
        "log_every": 1,
        "device": "cpu",
    }
    return values | more
