"""Packages that a stage needs, and those that its keys ask for: looked for before anything is begun."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from spct.errors import EngineMissingError
from spct.train.stage import Stage

TRACKERS = {"tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",), "trackio": ("trackio",)}
"""What ``report_to`` can name, and the packages of which each takes one."""
ENGINES = {"openvino": "openvino_genai", "llamacpp": "xllamacpp"}
"""What stands before the colon in ``model`` where an engine of its own package samples or judges, and that package."""


def check_stage(stage: Stage) -> None:
    """Raise EngineMissingError unless the packages are there that the stage always needs."""
    if missing := [package for package in stage.packages if not _there(package)]:
        own = ":" in stage.id
        extra = " ".join(missing) if own else "'spct[bench]'" if missing == ["numpy"] else "'spct[train]'"
        raise EngineMissingError(f"the stage {stage.name} needs {', '.join(missing)}: pip install {extra}")


def check_keys(recipe: Mapping[str, Any]) -> None:
    """Raise EngineMissingError for a tracker, a sampler or an engine that a stage's keys name and that is not installed."""
    for name in recipe.get("report_to") or ():
        if not any(map(_there, TRACKERS[name])):
            raise EngineMissingError(f"report_to names {name}, which is not installed: pip install {TRACKERS[name][0]}")
    if recipe.get("rollouts") == "vllm" and not _there("vllm"):
        raise EngineMissingError("rollouts is vllm, which is not installed: pip install vllm, or use rollouts: shared")
    engine = str(recipe.get("model", "")).partition(":")[0]
    if engine in ENGINES and not _there(ENGINES[engine]):
        raise EngineMissingError(f"model names {engine}:, which is not installed: pip install 'spct[{engine}]'")


def _there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
