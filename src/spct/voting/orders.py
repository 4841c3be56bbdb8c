"""In which order the responses are shown to each judgment, and the seed of every sample.

Position bias is met by design: over any n judgments in a row each response stands in each place exactly once, where the
paper shuffles independently (Eq 14). Everything here depends on (run seed, item, index) alone, never on k, so raising k
later extends a run instead of changing it, and a run repeats at any concurrency.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import blake2b, shake_128
from typing import Literal

Ordering = Literal["balanced", "random", "fixed"]

SEED_SPACE = 2**31
BASE_SPACE = 2**30
ROW_STRIDE = 65536
ATTEMPT_STRIDE = 4096


@dataclass(frozen=True, slots=True)
class Slot:
    """Where judgment ``index`` stands: its prompt is ``row``, and it is sample ``ordinal`` of that prompt."""

    index: int
    row: int
    ordinal: int
    order: tuple[int, ...]


def keyed_hash(*parts: object) -> int:
    """64 bits that depend on every part, the same in every process."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


@cache
def balanced_square(n: int) -> list[tuple[int, ...]]:
    """n orders of n responses, each response once in each place (a Latin square).

    Row 0 zigzags 0, n-1, 1, n-2, ..., the others add 1 modulo n (Williams 1949): for even n each response also follows
    each other one exactly once.
    """
    zigzag = [place // 2 if place % 2 == 0 else n - 1 - place // 2 for place in range(n)]
    return [tuple((first + shift) % n for first in zigzag) for shift in range(n)]


def slots(n: int, k: int, *, seed: int, key: str, ordering: Ordering = "balanced") -> list[Slot]:
    """The k slots of an item with n responses; ``key`` identifies the item (its fingerprint)."""
    orders = row_orders(n, k, seed=seed, key=key, ordering=ordering)
    rows = len(orders)
    return [Slot(i, i % rows, i // rows, orders[i % rows]) for i in range(k)]


def row_orders(n: int, k: int, *, seed: int, key: str, ordering: Ordering = "balanced") -> list[tuple[int, ...]]:
    """The orders of an item's k judgments, which are dealt round robin: judgment i has the order of row i mod rows.

    "balanced": rows of a Latin square, relabelled and put in random order per item. "random": independent shuffles, as
    in the paper, k of them. "fixed": always the given order.
    """
    if ordering == "fixed" or n == 1:
        return [tuple(range(n))]
    if ordering == "random":
        return [shuffled(n, seed, key, i) for i in range(k)]
    label = shuffled(n, seed, key, "label")
    sequence = shuffled(n, seed, key, "sequence")
    square = balanced_square(n)
    return [tuple([label[place] for place in square[row]]) for row in sequence]


def seed_base(seed: int, key: str) -> int:
    """The item's base seed, below 2^30, so that no seed of a prompt's samples wraps around between two of them."""
    return keyed_hash(seed, key, "base") % BASE_SPACE


def sample_seed(base: int, row: int, attempt: int, ordinal: int) -> int:
    """``base + 65536 row + 4096 attempt + ordinal`` modulo 2^31: consecutive within the samples of one prompt."""
    return (base + ROW_STRIDE * row + ATTEMPT_STRIDE * attempt + ordinal) % SEED_SPACE


def shuffled(n: int, *parts: object) -> tuple[int, ...]:
    """A uniform permutation of range(n) that hangs on every part: Fisher-Yates over 64 hash bits a step."""
    bits = shake_128("\x1f".join(map(str, parts)).encode()).digest(8 * n)
    order = list(range(n))
    for last in range(n - 1, 0, -1):
        pick = int.from_bytes(bits[8 * last : 8 * last + 8], "big") % (last + 1)
        order[last], order[pick] = order[pick], order[last]
    return tuple(order)
