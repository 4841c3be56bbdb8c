"""From the numbers of a head to one score, or to the reason there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence

from spct.classifiers.classifier import Score
from spct.errors import EngineError


def one_number(row: Sequence[float], label: int | None, name: str) -> float:
    """The output that is the score: the only one, or that of ``label``. Raises EngineError where that is not clear."""
    if label is None and len(row) != 1:
        raise EngineError(
            f"{name} gives {len(row)} numbers a text; expected 1, or the option label to say which of them is the score"
        )
    if label is not None and not 0 <= label < len(row):
        raise EngineError(f"{name} gives {len(row)} numbers a text; label {label} is none of them")
    return row[label or 0]


def score_of(value: float, prompt_tokens: int) -> Score:
    """A Score of a finite number; of any other the problem."""
    if math.isfinite(value):
        return Score(value, prompt_tokens=prompt_tokens)
    return Score(None, f"the classifier gave {value}, which is no finite number", prompt_tokens=prompt_tokens)
