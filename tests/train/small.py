"""A tiny model and tiny data for training: one token per byte, prompts of a few words, so that a step takes milliseconds."""

import json
import shutil
from pathlib import Path

from engines.tiny_models import save_model

WORDS = ("red", "blue", "green", "white", "black", "brown", "pink", "grey")


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
