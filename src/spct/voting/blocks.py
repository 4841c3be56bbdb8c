"""Groups too large for one context: overlapping random blocks, judged apart, reconciled into one scale.

Each of the k passes shuffles the n responses and cuts the circle into windows of ``size`` that overlap by about a third, so
every response is judged once or twice a pass and no block stands alone. A judge is stricter in one block than in another;
``reconciled`` estimates that drift from the responses that blocks share and takes it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spct.voting.orders import shuffled

Part = tuple[tuple[int, ...], tuple[float, ...] | None]
"""The responses that one judgment shows, and their scores in item order; None if it is invalid."""

PRIOR_OBSERVATIONS = 1.0
"""Weight of "this block has no drift", counted in scores. 1 says drift varies as much as a single score does."""


def block_orders(n: int, size: int, *, seed: int, key: str, index: int) -> list[tuple[int, ...]]:
    """The blocks of pass ``index``: item indices in shown order, every response in at least one. Needs 2 <= size <= n."""
    circle = shuffled(n, seed, key, "block", size, index)
    if size >= n:
        return [circle]
    step = size - max(1, size // 3)
    return [tuple(circle[(start + place) % n] for place in range(size)) for start in range(0, n, step)]


def block_drift(blocks: Sequence[tuple[Sequence[int], Sequence[float]]], n: int) -> list[float]:
    """Drift of each block: (item indices, their scores) per block -> one number per block, to be subtracted.

    Least squares on score = quality of the response + drift of the block, with a ridge of PRIOR_OBSERVATIONS on the
    drift, solved by alternating both to a fixed point (the problem is convex; the ridge makes it a contraction).
    """
    drift = [0.0] * len(blocks)
    for _ in range(1000):
        totals, counts = [0.0] * n, [0] * n
        for (members, scores), shift in zip(blocks, drift, strict=True):
            for member, score in zip(members, scores, strict=True):
                totals[member] += score - shift
                counts[member] += 1
        quality = [total / count if count else 0.0 for total, count in zip(totals, counts, strict=True)]
        updated = [
            sum(score - quality[member] for member, score in zip(members, scores, strict=True))
            / (len(members) + PRIOR_OBSERVATIONS)
            for members, scores in blocks
        ]
        change = max((abs(new - old) for new, old in zip(updated, drift, strict=True)), default=0.0)
        drift = updated
        if change < 1e-9:
            break
    return drift


def in_blocks(samples: Iterable[Sequence[Part]]) -> bool:
    """Whether an item was judged in blocks: some sample shows a response in two of its parts.

    Parts that share no response, such as scores recorded one by one, have nothing to be reconciled by.
    """
    for parts in samples:
        if len(parts) > 1:
            shown = [i for order, _ in parts for i in order]
            if len(set(shown)) < len(shown):
                return True
    return False


def reconciled(samples: Sequence[Sequence[Part]], n: int) -> list[list[Part]]:
    """The samples of an item judged in blocks, each block's drift taken out of its scores."""
    valid = [(sorted(order), scores) for parts in samples for order, scores in parts if scores is not None]
    drift = iter(block_drift(valid, n))

    def levelled(scores: tuple[float, ...]) -> tuple[float, ...]:
        shift = next(drift)
        return tuple([score - shift for score in scores])

    return [[(order, scores and levelled(scores)) for order, scores in parts] for parts in samples]
