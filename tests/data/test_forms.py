from spct.data.forms import Candidate, candidates, chars_of
from spct.data.group import Group, wins_of
from spct.types import Message

QUERY = (Message("user", "Hi"),)


def group(responses, wins=(), **more):
    return Group(QUERY, tuple(responses), tuple(wins), **more)


def test_a_preference_is_one_pair_with_the_better_one_first():
    assert candidates(group("ab", [(1, 0)])) == ([Candidate("pair", (1, 0))], {})


def test_labels_that_stand_alone_give_singles_pairs_and_a_set_if_one_is_right():
    rewards = (0.0, 1.0, 0.0)
    found, dropped = candidates(group("abc", wins_of(rewards)[0], rewards_N=rewards, absolute=True))
    assert [one.name for one in found] == ["single-0", "single-1", "single-2", "pair-1-0", "pair-1-2", "multi"]
    assert found[-1].indices == (1, 0, 2)
    assert dropped == {}


def test_rewards_with_a_tied_best_give_pairs_and_no_set():
    rewards = (5.0, 5.0, 1.0, 3.0)
    wins, tied = wins_of(rewards)
    found, dropped = candidates(group("abcd", wins, tied=tied, rewards_N=rewards))
    assert [one.indices for one in found] == [(0, 2), (0, 3), (1, 2), (1, 3), (3, 2)]
    assert dropped == {"tie in the ground truth": 1, "no single best response (as a set)": 1}


def test_comparisons_in_a_circle_have_no_best():
    found, dropped = candidates(group("abc", [(0, 1), (1, 2), (2, 0)]))
    assert [one.form for one in found] == ["pair"] * 3
    assert dropped == {"no single best response (as a set)": 1}


def test_blank_and_equal_responses_are_left_out_and_counted():
    assert candidates(group(["a", " \n"], [(0, 1)])) == ([], {"empty response": 1})
    assert candidates(group(["a", "a "], [(0, 1)])) == ([], {"equal responses, different labels": 1})
    found, dropped = candidates(group(["a", "", "b", "c"], [(0, 1), (0, 2), (0, 3)]))
    assert [one.name for one in found] == ["pair-0-2", "pair-0-3", "multi"]
    assert found[-1].indices == (0, 2, 3)
    assert dropped == {"empty response": 1}


def test_a_best_response_that_stands_there_twice_is_no_single_best():
    found, dropped = candidates(group(["a", "a", "b"], [(0, 1), (0, 2)]))
    assert [one.name for one in found] == ["pair-0-2"]
    assert dropped == {"equal responses, different labels": 1, "no single best response (as a set)": 1}


def test_length_counts_the_query_and_the_items_own_responses():
    assert chars_of(group(["abc", "de", "f"]), Candidate("pair", (1, 2))) == 2 + 2 + 1
