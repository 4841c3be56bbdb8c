"""Items as pairs: the best response against each other one. Single responses and items without a unique best give none.

The split is by query, as everywhere: what is asked in a held-out item is not learned. Failure rule: no pair at all on a
side is a TrainingError.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from spct.errors import InputError, RejectedError, TrainingError
from spct.items import fingerprint, read_items
from spct.types import Item
from spct.voting.orders import keyed_hash

if TYPE_CHECKING:  # they need torch and pydantic, and who only reads pairs does not
    from spct.train.baselines.recipe import BaselineRecipe
    from spct.train.common.models import Trainable

SIDES = ("train", "heldout")


@dataclass(frozen=True, slots=True)
class Preference:
    """``chosen`` is better than ``rejected``: indices of the item's responses."""

    item: Item
    chosen: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """Items that give pairs, on both sides; ``counts`` says what became of those that were read."""

    train: tuple[Item, ...]
    heldout: tuple[Item, ...]
    counts: dict[str, int]

    def comparisons(self, side: str) -> Iterator[Preference]:
        """The pairs of one side, item by item."""
        for item in self.train if side == "train" else self.heldout:
            yield from comparisons(item)


def gives_pairs(item: Item) -> bool:
    """Whether the item gives a pair."""
    return item.best is not None and len(item.responses) > 1


def comparisons(item: Item) -> Iterator[Preference]:
    """The item's pairs; none without a best response."""
    if item.best is not None:
        for other in range(len(item.responses)):
            if other != item.best:
                yield Preference(item, item.best, other)


def read_pairs(recipe: BaselineRecipe) -> Pairs:
    """Read and split the items. Raises InputError for rows that are none, TrainingError if a side has no pair."""
    counts: Counter[str] = Counter()
    items = _usable(recipe.data, counts)
    if recipe.heldout is None:
        queries = sorted({query_id(item) for item in items}, key=lambda query: keyed_hash(recipe.seed, query))
        chosen = set(queries[: max(1, round(recipe.heldout_share * len(queries)))])
        heldout = [item for item in items if query_id(item) in chosen]
    else:
        heldout = _usable(recipe.heldout, counts)
        chosen = {query_id(item) for item in heldout}
    train = [item for item in items if query_id(item) not in chosen]
    counts["asked in held-out items"] = len(items) - len(train) if recipe.heldout is not None else 0
    counts["train items"], counts["held-out items"] = len(train), len(heldout)
    for side, found in (("to learn from", train), ("held out", heldout)):
        if not found:
            raise TrainingError(
                f"{recipe.data}: no pair {side} ({counts['without a pair']} items have one response or no best); give items "
                "with two responses or more and a best one"
            )
    return Pairs(tuple(train), tuple(heldout), dict(counts))


def query_id(item: Item) -> str:
    """What tells one query from another: its conversation where the row names it, else its messages."""
    return str(
        item.extra.get("conversation") or fingerprint(replace(item, responses=(), reference=None, principles=None))
    )


def fits(one: Preference, tokens: int, trainable: Trainable, recipe: BaselineRecipe, counts: dict[str, int]) -> bool:
    """Whether a pair fits the context, counted. Raises InputError if it does not and must."""
    if tokens <= trainable.context_tokens:
        counts["pairs"] = counts.get("pairs", 0) + 1
        return True
    if recipe.on_long == "stop":
        raise InputError(
            f"item {one.item.id!r}: {tokens:,} tokens, and the context is {trainable.context_tokens:,}; raise max_tokens if "
            "the model can, or leave such pairs out with on_long: drop"
        )
    counts["too_long"] = counts.get("too_long", 0) + 1
    return False


@contextlib.contextmanager
def roles_taken(item: Item) -> Iterator[None]:
    """While the item's conversation is encoded: a chat template that refuses its roles is a TrainingError."""
    try:
        yield
    except RejectedError as error:
        raise TrainingError(f"item {item.id!r}: {error}; train another base model") from error


def _usable(path: Path, counts: Counter[str]) -> list[Item]:
    found = []
    for item in read_items(path):
        counts["read"] += 1
        if gives_pairs(item):
            found.append(item)
        else:
            counts["without a pair"] += 1
    return found
