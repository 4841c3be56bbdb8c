"""A folder of a training stage as curves over its steps, finished or not, read from what the stage keeps there.

A finished stage has its figures in ``report.json``; of one that is at work, or was stopped, the newest checkpoint has those up
to then. Whatever is logged is drawn, so a stage of one's own needs nothing here. What cannot be read is left out and named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from spct.errors import RunError
from spct.train.common.directory import FACTS, MANIFEST, REPORT
from spct.view.across_page import Plot
from spct.view.rollouts_page import steps_kept

STATE = "trainer_state.json"
FIRST = (
    "reward", "accuracy", "eval_accuracy", "loss", "eval_loss", "kl", "invalid", "tied", "completions/mean_length", "entropy",
    "eval_auc", "grad_norm", "learning_rate",
)  # fmt: skip
"""The figures that are looked at first, in this order; all others follow by name."""
NOT_DRAWN = {"step", "epoch", "step_time", "num_tokens"}
MOST_PLOTS = 40
MOST_POINTS = 2000


@dataclass(frozen=True, slots=True)
class Training:
    """A stage's folder. ``steps`` is the last step there are figures of."""

    name: str
    stage: str
    finished: bool
    steps: int


@dataclass(frozen=True, slots=True)
class TrainingPage:
    """``facts`` are the recipe's values and what else made the stage; ``results`` the single figures of its report.

    ``left`` figures have no plot, beyond the first ``MOST_PLOTS``. ``rollouts`` are the steps whose rollouts are kept.
    """

    training: Training
    plots: list[Plot]
    facts: list[tuple[str, str]]
    results: list[tuple[str, str]]
    left: int = 0
    rollouts: Sequence[int] = ()


def training(name: str, folder: Path) -> Training:
    """A stage in a line. Raises RunError where it cannot be read."""
    rows = _rows(folder)
    steps = max((int(row["step"]) for row in rows), default=0)
    return Training(name, str(read_object(folder / FACTS).get("stage")), (folder / MANIFEST).is_file(), steps)


def training_page(name: str, folder: Path) -> TrainingPage:
    """All of a stage. Raises RunError where it cannot be read."""
    facts, report = read_object(folder / FACTS), read_object(folder / REPORT, missing={})
    recipe = facts.get("recipe")
    shown = [
        (key, plain(value)) for key, value in (recipe if isinstance(recipe, dict) else {}).items() if value is not None
    ]
    results = [(key, plain(value)) for key, value in report.items() if not isinstance(value, list)]
    plots = _plots(_rows(folder))
    return TrainingPage(
        training(name, folder),
        plots[:MOST_PLOTS],
        shown,
        results,
        left=max(0, len(plots) - MOST_PLOTS),
        rollouts=steps_kept(folder),
    )


def _rows(folder: Path) -> list[Mapping[str, Any]]:
    """Everything that was logged with its step: of the report, else of the newest checkpoint."""
    report = read_object(folder / REPORT, missing={})
    lists = [value for value in report.values() if isinstance(value, list)]
    if not lists:
        checkpoints = sorted(folder.glob(f"checkpoint-*/{STATE}"), key=lambda file: file.stat().st_mtime)
        lists = [read_object(checkpoints[-1]).get("log_history", [])] if checkpoints else []
    rows = [row for each in lists for row in each if isinstance(row, dict)]
    return [row for row in rows if isinstance(row.get("step"), int)]


def _plots(rows: Sequence[Mapping[str, Any]]) -> list[Plot]:
    """A plot for each figure that was logged at two steps or more."""
    values: dict[str, dict[int, float]] = {}
    for row in rows:
        for key, value in row.items():
            if key not in NOT_DRAWN and isinstance(value, (int, float)) and value == value:
                values.setdefault(key, {})[row["step"]] = float(value)
    order = [key for key in FIRST if key in values] + sorted(values.keys() - set(FIRST))
    plots = []
    for key in order:
        steps = sorted(values[key])
        if len(steps) >= 2:
            each = -(-len(steps) // MOST_POINTS)
            every = steps[::each]
            note = f"One step in {each} is drawn, of {len(steps):,}." if each > 1 else ""
            line = {"name": key, "values": [values[key][step] for step in every]}
            plots.append(Plot(key, "step", key, [float(step) for step in every], [line], note=note))
    return plots


def read_object(file: Path, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    """The JSON object in a file; ``missing`` stands for one that is not there. Raises RunError."""
    try:
        found = orjson.loads(file.read_bytes())
    except FileNotFoundError:
        if missing is not None:
            return missing
        raise RunError(f"{file.parent} has no {file.name} (any more)") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{file} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise RunError(f"{file} cannot be read: got a {type(found).__name__}, expected an object")
    return found


def plain(value: Any) -> str:
    """A figure or a setting in short."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
