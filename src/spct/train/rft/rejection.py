"""Which judgments are worth learning from: the two rejections of rejective fine-tuning (arXiv 2504.02495, section 3.2).

Of an item's N_RFT judgments sampled without a hint, every one that is not correct by Eq 10 goes (a tie is not correct), and
if all are correct, all go: the item is too easy to teach anything. The hinted one goes only if it is not correct. The ablation
without rejection learns from every judgment that scores all responses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from spct.errors import InputError
from spct.types import Item, Judgment
from spct.voting.accuracy import grade

Fate = Literal["kept", "wrong", "tied", "invalid", "partial", "too_easy"]
FATES: tuple[Fate, ...] = ("kept", "wrong", "tied", "invalid", "partial", "too_easy")
"""What becomes of a judgment. "partial": it saw a part of the responses, since all of them did not fit the context."""
LEARNED: dict[bool, frozenset[Fate]] = {
    True: frozenset(("kept",)),
    False: frozenset(("kept", "wrong", "tied", "too_easy")),
}
"""The fates of the judgments that are learned from, with rejection and without."""


@dataclass(frozen=True, slots=True)
class Selection:
    """An item's judgments with their fates, in the order they were given; ``rejection`` says which fates are learned from."""

    plain: tuple[tuple[Judgment, Fate], ...]
    hinted: tuple[tuple[Judgment, Fate], ...]
    rejection: bool = True

    @property
    def kept(self) -> tuple[tuple[Judgment, bool], ...]:
        """The judgments to learn from, each with whether it was hinted."""
        learned = LEARNED[self.rejection]
        plain = [(judgment, False) for judgment, fate in self.plain if fate in learned]
        return (*plain, *[(judgment, True) for judgment, fate in self.hinted if fate in learned])

    @property
    def too_easy(self) -> bool:
        return any(fate == "too_easy" for _, fate in self.plain)

    def counts(self, *, hinted: bool) -> Counter[Fate]:
        return Counter(fate for _, fate in (self.hinted if hinted else self.plain))


def select(
    item: Item, plain: Sequence[Judgment], hinted: Sequence[Judgment], n_rft: int, *, rejection: bool = True
) -> Selection:
    """Apply both rejections, or without ``rejection`` only say what they would be.

    An item with fewer than ``n_rft`` plain judgments (its requests failed) is not too easy.

    Raises InputError if the item has no ground truth.
    """
    fates = [fate_of(judgment, item) for judgment in plain]
    if len(fates) >= n_rft and all(fate == "kept" for fate in fates):
        fates = ["too_easy"] * len(fates)
    return Selection(
        tuple(zip(plain, fates, strict=True)),
        tuple((judgment, fate_of(judgment, item)) for judgment in hinted),
        rejection,
    )


def fate_of(judgment: Judgment, item: Item) -> Fate:
    """What becomes of a judgment by itself: "kept" if it is correct. Raises InputError without ground truth."""
    if len(judgment.order) < len(item.responses):
        return "partial"
    found = grade(judgment.scores, item)
    if found is None:
        raise InputError(f"item {item.id!r} has no ground truth to compare with; give it best, rewards or a label")
    return "kept" if found == "correct" else found
