"""The order in which rows are learned."""

import pytest

pytest.importorskip("trl")

from datasets import Dataset

from spct.train.common.token_rows import lengths_of, order, ordered

ALIKE = [7] * 5


def test_every_epoch_is_a_permutation_of_its_own():
    places = order(ALIKE, 13, 1, seed=1)
    epochs = [places[:5], places[5:10], places[10:]]
    assert [sorted(epoch) for epoch in epochs[:2]] == [[0, 1, 2, 3, 4]] * 2
    assert len(set(epochs[2])) == 3
    assert epochs[0] != epochs[1]
    assert order(ALIKE, 8, 1, seed=1) == places[:8]
    assert order(ALIKE, 13, 1, seed=2) != places


def test_a_step_sees_the_same_rows_by_their_lengths():
    lengths = [5, 1, 9, 3, 7, 2, 8]
    plain = order([0] * 7, 6, 4, seed=3)
    steps = [plain[begin : begin + 4] for begin in range(0, 24, 4)]
    by_length = [sorted(step, key=lengths.__getitem__) for step in steps]
    assert order(lengths, 6, 4, seed=3) == [place for step in by_length for place in step]
    assert by_length != steps


def test_the_tokens_of_a_row_are_those_of_all_its_lists():
    rows = Dataset.from_dict(
        {"chosen": [[1], [1, 2], [3] * 9], "label": [1.0, 0.0, 1.0], "rejected": [[], [1] * 5, [2]]}
    )
    assert lengths_of(rows) == [1, 7, 10]
    assert lengths_of(rows.select([2, 0])) == [10, 1]
    assert ordered(rows, 1, 3, seed=0)["label"] == rows["label"]
    assert ordered(rows, 4, 1, seed=0)["chosen"] == rows.select(order([1, 7, 10], 4, 1, seed=0))["chosen"]
