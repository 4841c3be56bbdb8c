"""As many trajectories with the best response shown in each place."""

from spct.train.sft.balance import balanced


def test_as_many_of_each_place_by_number_of_responses():
    shown = [(2, 0)] * 5 + [(2, 1)] * 3 + [None] * 4 + [(3, 0), (3, 1), (3, 1), (3, 2)] + [(4, 2)] * 6
    kept = balanced(shown, seed=0)
    counted = {one: sum(shown[index] == one for index in kept) for one in dict.fromkeys(shown)}
    assert counted == {(2, 0): 3, (2, 1): 3, None: 4, (3, 0): 1, (3, 1): 1, (3, 2): 1, (4, 2): 0}
    assert balanced(shown, seed=0) == kept
    assert len({frozenset(balanced(shown, seed)) for seed in range(20)}) > 1
    assert balanced([], seed=0) == set()
