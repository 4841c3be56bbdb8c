import itertools
import random

import pytest

from spct.voting.blocks import PRIOR_OBSERVATIONS, block_drift, block_orders


@pytest.mark.parametrize("n,size", [(3, 2), (7, 3), (10, 4), (64, 9), (5, 5), (6, 8)])
def test_every_response_is_covered_and_blocks_are_linked(n, size):
    blocks = block_orders(n, size, seed=0, key="x", index=0)
    assert set().union(*blocks) == set(range(n))
    assert all(len(set(block)) == len(block) <= min(n, size) for block in blocks)
    reached = set(blocks[0])
    for _ in blocks:
        for block in blocks:
            if reached & set(block):
                reached |= set(block)
    assert reached == set(range(n))


@pytest.mark.parametrize(("n", "size", "count", "shared"), [(7, 3, 4, 1), (12, 6, 3, 2), (10, 9, 2, 3), (5, 2, 5, 1)])
def test_neighbours_share_a_third_of_a_block(n, size, count, shared):
    blocks = block_orders(n, size, seed=0, key="x", index=0)
    assert len(blocks) == count
    assert all(block[-shared:] == after[:shared] for block, after in itertools.pairwise(blocks))


def test_passes_differ_and_repeat():
    passes = [block_orders(9, 4, seed=1, key="x", index=i) for i in range(6)]
    assert len({tuple(p) for p in passes}) == 6
    assert passes[2] == block_orders(9, 4, seed=1, key="x", index=2)


def test_agreeing_blocks_have_no_drift():
    assert block_drift([((0, 1, 2), (3, 5, 9)), ((2, 3, 0), (9, 4, 3))], 4) == pytest.approx([0.0, 0.0], abs=1e-8)


def test_drift_solves_the_ridge_equations():
    blocks = [((0, 1, 2), (8, 6, 4)), ((2, 3, 0), (7, 5, 10)), ((1, 3), (5, 3))]
    drift = block_drift(blocks, 4)
    assert sum(drift) == pytest.approx(0.0, abs=1e-6)
    seen = {response: [] for response in range(4)}
    for (members, scores), shift in zip(blocks, drift, strict=True):
        for member, score in zip(members, scores, strict=True):
            seen[member].append(score - shift)
    quality = {response: sum(scores) / len(scores) for response, scores in seen.items()}
    for (members, scores), d in zip(blocks, drift, strict=True):
        residual = sum(s - quality[m] - d for m, s in zip(members, scores, strict=True))
        assert residual == pytest.approx(PRIOR_OBSERVATIONS * d, abs=1e-6)


def test_a_block_without_drift_weighs_as_much_as_one_score():
    """Two blocks of the same two responses, one 2 points stricter: each moves by 2 / (2 + 1) towards the other, not by 1."""
    assert block_drift([((0, 1), (5, 5)), ((0, 1), (7, 7))], 2) == pytest.approx([-2 / 3, 2 / 3])


def test_reconciling_ranks_better_than_plain_means_when_blocks_drift():
    rng = random.Random(0)
    plain_hits = reconciled_hits = 0
    for trial in range(200):
        truth = [rng.gauss(5, 1) for _ in range(12)]
        blocks = []
        for index in range(4):
            for order in block_orders(12, 4, seed=trial, key="x", index=index):
                shift = rng.gauss(0, 1.5)
                blocks.append((order, [truth[r] + shift + rng.gauss(0, 0.3) for r in order]))
        drift = block_drift(blocks, 12)

        def best(shifts, blocks=blocks):
            totals = [[] for _ in range(12)]
            for (members, scores), shift in zip(blocks, shifts, strict=True):
                for member, score in zip(members, scores, strict=True):
                    totals[member].append(score - shift)
            means = [sum(scores) / len(scores) for scores in totals]
            return means.index(max(means))

        winner = truth.index(max(truth))
        plain_hits += best([0.0] * len(blocks)) == winner
        reconciled_hits += best(drift) == winner
    assert reconciled_hits > plain_hits + 20
