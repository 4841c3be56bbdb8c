from math import log, sqrt

import pytest

from spct.measures.groups import Group, group_of, log_length


def test_a_reward_counts_as_often_as_there_are_rollouts_with_its_text():
    lengths = [log_length(text) for text in ("", "ab", "abcdefg")]
    assert lengths == [0.0, log(3), log(8)]
    group = group_of((2, 5, 9), lengths, (2, 1, 0))
    assert group.rewards == (2.0, 2.0, 5.0)
    assert group.with_length == pytest.approx((2 * log(3), 6.0, 2 / 3 * log(3) ** 2))
    assert (group.spread, group.is_equal) == (sqrt(3.0), False)
    assert group_of((4, 4), (0.0, 1.0), (1, 1)).is_equal


def test_a_lone_rollout_is_neither_spread_nor_equal():
    group = group_of((7, 3), (1.0, 2.0), (0, 1))
    assert group == Group((3.0,))
    assert (group.spread, group.is_equal) == (0.0, False)
