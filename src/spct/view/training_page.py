"""A folder of a training stage as curves over its steps, finished or not, read from what the stage keeps there.

A finished stage has its figures in ``report.json``; of one that is at work, or was stopped, the newest checkpoint has those up
to then. Whatever is logged is drawn, so a stage of one's own needs nothing here. What cannot be read is left out and named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from spct.errors import RunError
from spct.view.across_page import Plot

FACTS, MANIFEST, REPORT, STATE = "stage.json", "manifest.json", "report.json", "trainer_state.json"
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

    ``left`` figures have no plot, beyond the first ``MOST_PLOTS``. Of the longest curve every ``every``-th point is drawn.
    """

    training: Training
    plots: list[Plot]
    facts: list[tuple[str, str]]
    results: list[tuple[str, str]]
    left: int = 0
    every: int = 1


def trainings_below(roots: Iterable[Path]) -> dict[str, Path]:
    """The stages' folders by name: the path below the folder, with ~ for each slash."""
    found: dict[str, Path] = {}
    for root in roots:
        for file in sorted(root.rglob(FACTS)):
            parts = file.parent.relative_to(root).parts or (root.resolve().name,)
            found.setdefault("~".join(parts), file.parent)
    return found


def training(name: str, folder: Path) -> Training:
    """A stage in a line. Raises RunError where it cannot be read."""
    rows = _rows(folder)
    steps = max((int(row["step"]) for row in rows), default=0)
    return Training(name, str(_read(folder / FACTS).get("stage")), (folder / MANIFEST).is_file(), steps)


def training_page(name: str, folder: Path) -> TrainingPage:
    """All of a stage. Raises RunError where it cannot be read."""
    facts, report = _read(folder / FACTS), _read(folder / REPORT, missing={})
    recipe = facts.get("recipe")
    shown = [
        (key, _plain(value)) for key, value in (recipe if isinstance(recipe, dict) else {}).items() if value is not None
    ]
    results = [(key, _plain(value)) for key, value in report.items() if not isinstance(value, list)]
    plots, every = _plots(_rows(folder))
    left = max(0, len(plots) - MOST_PLOTS)
    return TrainingPage(training(name, folder), plots[:MOST_PLOTS], shown, results, left, every)


def _rows(folder: Path) -> list[Mapping[str, Any]]:
    """Everything that was logged with its step: of the report, else of the newest checkpoint."""
    report = _read(folder / REPORT, missing={})
    lists = [value for value in report.values() if isinstance(value, list)]
    if not lists:
        checkpoints = sorted(folder.glob(f"checkpoint-*/{STATE}"), key=lambda file: file.stat().st_mtime)
        lists = [_read(checkpoints[-1]).get("log_history", [])] if checkpoints else []
    rows = [row for each in lists for row in each if isinstance(row, dict)]
    return [row for row in rows if isinstance(row.get("step"), int)]


def _plots(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Plot], int]:
    """A plot for each figure that was logged at two steps or more, and how many points of the longest make one that is drawn."""
    values: dict[str, dict[int, float]] = {}
    for row in rows:
        for key, value in row.items():
            if key not in NOT_DRAWN and isinstance(value, (int, float)) and value == value:
                values.setdefault(key, {})[row["step"]] = float(value)
    order = [key for key in FIRST if key in values] + sorted(values.keys() - set(FIRST))
    plots, thinnest = [], 1
    for key in order:
        steps = sorted(values[key])
        if len(steps) >= 2:
            every = -(-len(steps) // MOST_POINTS)
            thinnest = max(thinnest, every)
            line = {"name": key, "values": [values[key][step] for step in steps[::every]]}
            plots.append(Plot(key, "step", key, [float(step) for step in steps[::every]], [line]))
    return plots, thinnest


def _read(file: Path, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        found = orjson.loads(file.read_bytes())
    except FileNotFoundError:
        if missing is not None:
            return missing
        raise RunError(f"{file.parent} is no folder of a training stage (any more): it has no {file.name}") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{file} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise RunError(f"{file} cannot be read: got a {type(found).__name__}, expected an object")
    return found


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
