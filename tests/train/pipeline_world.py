"""The toy world of RL as one recipe: a policy that knows nothing, and a sampler that mostly judges right."""

import random
from pathlib import Path
from typing import Any

import yaml

from train.rl.toy import BAD, GOOD, TEMPLATE, save_toy_model, write_rows

ENGINE = r"""
import re
from random import Random

def judge(request, j):
    random = Random(request.seed + j)
    shown = re.findall(r"\d (\w+)", request.messages[-1].content)
    best = [place for place, word in enumerate(shown) if word in ("fine", "right", "sound")]
    chosen = best[0] if best and random.random() < 0.7 else random.randrange(len(shown))
    if random.random() < 0.1:
        return "hm"
    return r"\boxed{" + ",".join("2" if place == chosen else "1" for place in range(len(shown))) + "}"
"""
SMALL = {"device": "cpu", "batch": 4, "micro_batch": 4, "learning_rate": 1e-2, "warmup": 0.0, "log_every": 1}


def rows(count: int) -> list[dict[str, Any]]:
    """Pairs and triples of words, one of them good, each of a query of its own."""
    draw = random.Random(0)
    made = []
    for i in range(count):
        best, n = draw.randrange(2), 2 + i % 2
        responses = [draw.choice(GOOD if place == best else BAD) + f" {i}" for place in range(n)]
        made.append({"id": f"i{i}", "prompt": f"query {i}", "responses": responses, "best": best})
    return made


def world(path: Path) -> dict[str, Any]:
    """A recipe over files in ``path``, which are made."""
    save_toy_model(path / "base")
    (path / "pairs.jinja").write_text(TEMPLATE.format(low=1, high=2, needs=""))
    (path / "engine.py").write_text(ENGINE)
    write_rows(path / "items.jsonl", rows(40))
    template = str(path / "pairs.jinja")
    sampler = {"model": f"scripted:{path / 'engine.py'}:judge", "template": template}
    return {
        "model": str(path / "base"),
        "seed": 3,
        "data": {"sources": [{"kind": "items", "path": str(path / "items.jsonl")}], "split": {"train": 0.6, "heldout": 0.4}},
        "rft": sampler,
        "sft": {**SMALL, "steps": 8, "save_every": 2},
        "rl": {**SMALL, "steps": 2, "max_new_tokens": 2, "template": template, "save_every": 1, "heldout": {"vote_k": 1}},
        "samples": {**sampler, "n_rft": 4},
        "meta": {**SMALL, "steps": 2, "save_every": 1, "heldout": 0.3},
        "bench": {"k": 4, "max_tokens": 2, "retries": 0, "template": template, "replicates": 50, "plots": False},
        "ablations": {"no-hinted": {"rft.hinted": False, "rl": None, "meta": None, "samples": None}},
    }  # fmt: skip


def write(path: Path, recipe: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(recipe))
    return path
