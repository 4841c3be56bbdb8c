"""Some rollouts of every step, for people to look at: ``OUT/rollouts/step-000012.jsonl``, a line for each prompt.

Of a step the first ``prompts`` prompts of the main process are kept, with all rollouts of theirs that this process has. The
file of a step is written whole, and again where a resumed run comes by it again. Nothing of the result depends on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from spct.data.output import write_text
from spct.errors import RunError
from spct.types import FinishReason

if TYPE_CHECKING:
    from spct.train.rl.prompts import Prompt
    from spct.train.rl.reward import Scored

FOLDER = "rollouts"


def step_file(out: Path, step: int) -> Path:
    """Where the rollouts of a step are kept, counted from 1."""
    return out / FOLDER / f"step-{step:06d}.jsonl"


class KeptRollouts:
    """Keeps rollouts in the directory ``out`` of a stage."""

    def __init__(self, out: Path, prompts: int) -> None:
        self._out = out
        self._prompts = prompts

    def keep(
        self, step: int, prompts: Sequence[Prompt], texts: Sequence[tuple[str, FinishReason]], scored: Sequence[Scored]
    ) -> None:
        """Write those of a step; the rollouts stand in a row with the prompt, text and reward of each. Raises RunError."""
        groups: dict[int, dict[str, Any]] = {}
        for prompt, (text, finish), one in zip(prompts, texts, scored, strict=True):
            if prompt.visit not in groups and len(groups) == self._prompts:
                continue
            group = groups.setdefault(prompt.visit, _group(prompt))
            group["rollouts"].append(
                {"text": text, "finish": finish, "reward": one.reward, "grade": one.grade, "shown": one.shown,
                 "problem": one.problem}
            )  # fmt: skip
        file = step_file(self._out, step)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{file.parent}: cannot be made: {error.strerror or error}") from error
        write_text(file, "".join(f"{orjson.dumps(group).decode()}\n" for group in groups.values()))


def _group(prompt: Prompt) -> dict[str, Any]:
    return {
        "visit": prompt.visit,
        "item": prompt.item.id,
        "order": prompt.order,
        "best": prompt.item.best,
        "prompt": prompt.turns,
        "rollouts": [],
    }
