"""Packages that a recipe asks for and that no stage needs otherwise: looked for before anything is begun."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from spct.errors import EngineMissingError

TRACKERS = {"tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",), "trackio": ("trackio",)}
"""What ``report_to`` can name, and the packages of which each takes one."""
ENGINES = {"openvino": "openvino_genai", "llamacpp": "xllamacpp"}
"""What stands before the colon in ``model`` where an engine of its own package samples or judges, and that package."""


def check_packages(recipe: Mapping[str, Any]) -> None:
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
