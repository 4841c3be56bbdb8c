"""The order in which rows are learned."""

import pytest

pytest.importorskip("trl")

from spct.train.common.token_rows import order


def test_every_epoch_is_a_permutation_of_its_own():
    places = order(5, 13, seed=1)
    epochs = [places[:5], places[5:10], places[10:]]
    assert [sorted(epoch) for epoch in epochs[:2]] == [[0, 1, 2, 3, 4]] * 2
    assert len(set(epochs[2])) == 3
    assert epochs[0] != epochs[1]
    assert order(5, 8, seed=1) == places[:8]
    assert order(5, 13, seed=2) != places
