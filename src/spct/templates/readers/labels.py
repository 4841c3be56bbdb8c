"""Labels for a choice, and what each is worth: the stated rule by which a choice becomes scores.

A list of labels is for two responses and goes from "the first is far better" to "the second is far better": of m labels
the one at place j (from 0) gives the first response 1 - j / (m - 1) points and the second the rest of one point. So
``[A, B]`` gives 1 and 0 or 0 and 1, ``[A, tie, B]`` a half each for the tie, and five or seven steps shares in between.
A text such as ``{letter}`` or ``Response {i}`` names the best of any number of responses: 1 for it, 0 for the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from spct.errors import InputError
from spct.templates.readers.box import one_hot
from spct.templates.readers.literal import numbered

STEPS = 101


class Labels:
    """``labels`` as a template declares them. Raises InputError."""

    def __init__(self, labels: object) -> None:
        self._steps: dict[str, tuple[float, ...]] | None = None
        self._name = ""
        if isinstance(labels, str) and numbered(labels, 1) != numbered(labels, 2):
            self._name = labels
            return
        names = [str(label) for label in labels] if isinstance(labels, list) else []
        plain = all(name.strip() == name and name and name.isprintable() for name in names)
        if not 2 <= len(names) <= STEPS or len(set(names)) < len(names) or not plain:
            raise InputError(
                f"labels is {labels!r}; expected a list of labels from the first response's to the second's, such as "
                "[A, tie, B], or a text with {i} or {letter} in it that names the best response"
            )
        last = len(names) - 1
        self._steps = {name: (_whole(1 - j / last), _whole(j / last)) for j, name in enumerate(names)}

    def refuses(self, n: int) -> str | None:
        if self._steps is not None and n != 2:
            return f"its answer is a choice between two responses, got {n}" + (
                ": use the judge pairwise" if n > 2 else ""
            )
        return None

    def scores(self, n: int) -> Mapping[str, tuple[float, ...]]:
        """The scores of all n responses for each label."""
        if self._steps is not None:
            return self._steps
        return _places(self._name, n)

    def placeholder(self, n: int) -> str:
        """All labels at once, which together are none: ``A|B``."""
        names = list(self.scores(n))
        return "|".join([*names, "..."][: max(len(names), 2)] if len(names) <= 7 else [names[0], "...", names[-1]])


@lru_cache(maxsize=256)
def _places(name: str, n: int) -> Mapping[str, tuple[float, ...]]:
    return {numbered(name, int(number)): scores for number, scores in one_hot(n).items()}


def _whole(share: float) -> float:
    return int(share) if share == int(share) else share
