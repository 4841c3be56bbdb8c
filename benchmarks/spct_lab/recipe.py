"""What the laboratory runs, as a recipe of ``spct train all`` for each seed: sizes, hyper-parameters, ablations.

The full form and the short one differ in sizes alone. Learning rates are far above the paper's (5e-6, 4e-7 and 1e-5): the
model has 128,384 weights, not 27 billion, and a few hundred steps. docs/lab.md says how they were chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.spct_lab.model import Size
from benchmarks.spct_lab.pretrain import Pretraining

TEMPLATES = Path(__file__).parent / "templates"
MAX_NEW = 120
"""Tokens; the longest judgment of the crowd has 111."""
MAIN = "main"
ABLATION_K = 8
ABLATIONS = {
    "no-principles": "asked for critique and scores alone, in every stage",
    "no-rejection": "all sampled and hinted judgments are learned, right or wrong",
    "no-hinted": "nothing learned from hinted judgments",
    "no-sampled": "nothing learned but hinted judgments (the paper's: no non-hinted)",
    "beta-0": "RL without the KL term",
}


GROUPS: dict[str, tuple[str, ...]] = {
    MAIN: (),
    "rft": ("no-rejection", "no-hinted", "no-sampled"),
    "principles": ("no-principles",),
    "beta": ("beta-0",),
}
"""Branches that are trained one after the other; the groups side by side, once the main one has its RFT."""
WIDER = {"middle": Size(96, 4, 4), "large": Size(128, 5, 4)}
"""Bases of more weights, on the same texts: 377,088 and 830,720 beside 128,384."""
META_DATA = {"rft": ("rft",), "own": ("samples",)}
"""Meta RMs that learn from fewer judgments: the base's alone, or those of the model that they then guide alone."""
ADAPTIVE = 0.97
"""The level at which adaptive k stops (``spct judge --adaptive``)."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """``train`` items are judged for RFT and RL, ``more`` items by the trained model for its meta RM; ``dev`` items choose the RL
    checkpoint, ``test`` items are reported.

    ``k`` is the largest vote, ``ablation_k`` that of the ablations, of wider bases and of single responses. The first
    ``wider_seeds`` seeds have bases of more weights too. ``metas`` are the further meta RMs; ``adaptive`` is whether adaptive k
    is run.
    """

    pretraining: Pretraining
    train: int
    more: int
    dev: int
    test: int
    singles: int
    sft_epochs: float
    rl_steps: int
    rl_save: int
    meta_steps: int
    k: int = 32
    ablation_k: int = ABLATION_K
    groups: tuple[str, ...] = tuple(GROUPS)
    wider_seeds: int = 4
    metas: tuple[str, ...] = tuple(META_DATA)
    adaptive: bool = True


FULL = Sizes(Pretraining(), 600, 3_000, 96, 510, 120, 3.0, 90, 30, 1_000)
SHORT = Sizes(
    Pretraining(texts=12_800, second=120, third=90), 120, 240, 24, 60, 20, 2.0, 10, 5, 20, 8, 4, wider_seeds=0
)


@dataclass(frozen=True, slots=True)
class Files:
    """Where the inputs of a seed's recipe are."""

    base: Path
    train: Path
    more: Path
    dev: Path
    test: Path
    singles: Path


def all_recipe(sizes: Sizes, files: Files, seed: int, group: str = MAIN) -> dict[str, Any]:
    """The values of the recipe of a seed's group: the main branch whole, else its RFT and the ablations of the group."""
    stages = _stages(sizes, files)
    first = {name: stages[name] for name in ("rft", "sft")}
    whole = stages if group == MAIN else first
    found = {"model": str(files.base), "seed": seed, **whole}
    return found | {"ablations": {name: _ablation(name, sizes, stages) for name in GROUPS[group]}}


def wider_recipe(sizes: Sizes, files: Files, seed: int, base: Path) -> dict[str, Any]:
    """A base of more weights on the test items, untrained."""
    return {"model": str(base), "seed": seed, "bench": {**_stages(sizes, files)["bench"], "k": sizes.ablation_k}}


def adaptive_recipe(sizes: Sizes, files: Files, seed: int, model: Path) -> dict[str, Any]:
    """The test items with adaptive k, asked anew."""
    bench = {**_stages(sizes, files)["bench"], "adaptive": ADAPTIVE, "greedy": False}
    return {"model": str(model), "seed": seed, "bench": bench}


def meta_recipe(sizes: Sizes, base: Path, seed: int, runs: Sequence[Path]) -> dict[str, Any]:
    """A meta RM on the judgments in ``runs``."""
    return {"model": str(base), "seed": seed, "meta": {**_meta(sizes), "runs": [str(run) for run in runs]}}


def _meta(sizes: Sizes) -> dict[str, Any]:
    return {
        **_TRAINED,
        "learning_rate": 1e-3,
        "batch": 64,
        "micro_batch": 64,
        "steps": sizes.meta_steps,
        "save_every": max(1, sizes.meta_steps // 5),
        "patience": 5,
        "curve": False,
    }


def _stages(sizes: Sizes, files: Files) -> dict[str, dict[str, Any]]:
    asked = judged("judge")
    sampling = {**asked, **_ENGINE, "items": str(files.train), "temperature": 1.0, "max_tokens": MAX_NEW}
    return {
        "rft": sampling,
        "sft": {**_TRAINED, "learning_rate": 1e-3, "batch": 32, "micro_batch": 32, "epochs": sizes.sft_epochs},
        "rl": {
            **_TRAINED,
            **asked,
            "data": str(files.train),
            "heldout": {"path": str(files.dev), "vote_k": 1, "batch": 256},
            "learning_rate": 2e-4,
            "temperature": 0.7,
            "batch": 16,
            "group": 4,
            "micro_batch": 64,
            "rollout_batch": 256,
            "steps": sizes.rl_steps,
            "save_every": sizes.rl_save,
            "max_new_tokens": MAX_NEW,
        },
        "samples": {**sampling, "items": str(files.more), "n_rft": 4},
        "meta": _meta(sizes),
        "bench": {
            **_ENGINE,
            "template": asked["template"],
            "benchmarks": [{"name": "items", "data": str(files.test)}],
            "k": sizes.k,
            "max_tokens": MAX_NEW,
            "retries": 0,
            "replicates": 100,
            "plots": False,
        },
    }


_ENGINE = {"concurrency": 256, "threads": 1, "engine_option": {"batch": 256}, "grammar": False}
_TRAINED = {"device": "cpu", "log_every": 10, "keep": 1, "warmup": 0.05}


def judged(name: str) -> dict[str, str]:
    """The template of two or more responses and that of one."""
    return {"template": str(TEMPLATES / f"{name}.jinja"), "single_template": str(TEMPLATES / f"{name}-single.jinja")}


def _ablation(name: str, sizes: Sizes, stages: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Overrides of a group's recipe. Ablations of RFT end in it, as in the paper's table; none trains a meta RM."""
    direct = judged("direct")
    bench = {**stages["bench"], "k": sizes.ablation_k}
    changes: Mapping[str, dict[str, Any]] = {
        "no-principles": {
            **{f"rft.{key}": value for key, value in direct.items()},
            "rl": {**stages["rl"], **direct},
            "bench": {**bench, "template": direct["template"]},
        },
        "no-rejection": {"rft.rejection": False},
        "no-hinted": {"sft.hinted": False},
        "no-sampled": {"sft.sampled": False},
        "beta-0": {"rl": {**stages["rl"], "beta": 0.0}},
    }
    return {"bench": bench} | changes[name]
