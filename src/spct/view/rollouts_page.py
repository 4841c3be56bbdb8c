"""The rollouts of a training step as ``spct train rl`` keeps them: each prompt, what was answered, its reward, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from spct.errors import RunError
from spct.items.names import letter
from spct.train.rl.kept_rollouts import FOLDER, step_file
from spct.view.markup import MOST_SHOWN, Text, as_it_is, markdown, tinted

_STEP = re.compile(r"step-(\d{6,})\.jsonl")


@dataclass(frozen=True, slots=True)
class Rollout:
    """One sampled judgment; ``scores`` are by response, in item order."""

    reward: float
    grade: str
    why: str
    scores: Mapping[int, float]
    text: Text


@dataclass(frozen=True, slots=True)
class Group:
    """A prompt of the step and its rollouts; ``places`` has the response shown at each place, ``best`` the known one."""

    item: str
    best: int | None
    places: list[tuple[int, ...]]
    prompt: list[tuple[str, Text]]
    rollouts: list[Rollout]

    @property
    def mean(self) -> float:
        return sum(one.reward for one in self.rollouts) / len(self.rollouts)


def steps_kept(folder: Path) -> list[int]:
    """The steps whose rollouts are kept with the stage in ``folder``, in order."""
    found = (_STEP.fullmatch(file.name) for file in (folder / FOLDER).glob("step-*.jsonl"))
    return sorted(int(match[1]) for match in found if match)


def rollouts_of(folder: Path, step: int) -> list[Group]:
    """The groups of a step. Raises RunError where there are none, or they cannot be read."""
    file = step_file(folder, step)
    try:
        rows = [orjson.loads(line) for line in file.read_bytes().splitlines()]
        return [_group(row) for row in rows if row["rollouts"]]
    except FileNotFoundError:
        raise RunError(f"no rollouts of step {step:,} are kept here") from None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RunError(f"{file} cannot be read: {error}") from error


def _group(row: Mapping[str, Any]) -> Group:
    order: Sequence[int] = row["order"]
    places: list[tuple[int, ...]] = [(int(i),) for i in order]
    prompt = [(str(turn["role"]), as_it_is(turn["content"])) for turn in row["prompt"]]
    rollouts = [_rollout(one, row["best"], places) for one in row["rollouts"]]
    return Group(str(row["item"]), row["best"], places, prompt, rollouts)


def _rollout(row: Mapping[str, Any], best: int | None, places: Sequence[tuple[int, ...]]) -> Rollout:
    text = row["text"]
    shown = zip(places, row["shown"] or (), strict=False)
    scores = {place[0]: float(score) for place, score in sorted(shown)}
    html = tinted(markdown(text[:MOST_SHOWN]), places)
    return Rollout(
        float(row["reward"]),
        str(row["grade"]),
        _why(row, best, scores),
        scores,
        Text(html, len(text) if len(text) > MOST_SHOWN else None),
    )


def _why(row: Mapping[str, Any], best: int | None, scores: Mapping[int, float]) -> str:
    """The reward in words."""
    if row["grade"] == "invalid":
        return f"no scores could be read: {row['problem'] or row['finish']}"
    if len(scores) < 2 or best is None:
        return "the score is the label" if row["grade"] == "correct" else "the score is not the label"
    if row["grade"] == "correct":
        return f"{letter(best)}, the best, alone has the highest score"
    highest = max(scores.values())
    top = ", ".join(letter(i) for i, score in scores.items() if score == highest)
    return f"{letter(best)} is the best, and {top} {'share' if row['grade'] == 'tied' else 'has'} the highest score"
