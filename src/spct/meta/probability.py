"""A classifier's raw logits as a rating between 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

from spct.voting.ratings import Rating


def rating_of(logits: Sequence[float]) -> Rating:
    """One label: the sigmoid of its logit. Two: the softmax probability of label 1. NaN and infinity are no rating."""
    if len(logits) not in (1, 2):
        return Rating(
            None, f"the classifier gave {len(logits)} numbers; expected 1 (a logit) or 2 (label 1 means correct)"
        )
    if not all(map(math.isfinite, logits)):
        return Rating(None, f"the classifier gave {', '.join(map(str, logits))}, which is no finite logit")
    return Rating(_sigmoid(logits[0] if len(logits) == 1 else logits[1] - logits[0]))


def _sigmoid(logit: float) -> float:
    if logit < 0:
        return math.exp(logit) / (1.0 + math.exp(logit)) if logit > -700 else 0.0
    return 1.0 / (1.0 + math.exp(-logit))
