"""Trajectories cut down to a declared number of characters."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from spct.items.budget import within_budget
from spct.types import Item, Message, ToolCall, Trajectory

ASK = (Message("user", "q" * 5000),)
NOTE = "\n[Left out: {:,} characters, to keep to trajectory_chars]\n"


def trajectory(*lengths):
    """Turns of these lengths, the assistant's and a tool's by turns."""
    return Trajectory([Message(("assistant", "tool")[i % 2], "abcdefghij"[i] * n) for i, n in enumerate(lengths)])


def cut(responses, chars):
    return within_budget(Item("i", ASK, tuple(responses)), chars).responses


def contents(response):
    return [turn.content for turn in response.turns]


def test_without_a_budget_and_within_it_nothing_is_touched():
    item = Item("i", ASK, (trajectory(100, 900), "x" * 5000))
    assert within_budget(item, None) is item and within_budget(item, 1000) is item
    assert cut([trajectory(100, 900)], 999) != (trajectory(100, 900),)


def test_the_longest_texts_give_way_and_what_stays_is_their_beginning_and_end():
    long = Message("tool", "begin" + "." * 990 + "finis")
    response = Trajectory([Message("assistant", "a" * 60), long, Message("assistant", "c" * 40)])
    (short,) = cut([response], 300)
    kept = 200
    assert contents(short) == ["a" * 60, "begin" + "." * 95 + NOTE.format(1000 - kept) + "." * 95 + "finis", "c" * 40]


def test_several_long_texts_are_cut_to_one_length_and_arguments_count_too():
    call = ToolCall(1, "f", "x" * 500)
    response = Trajectory([Message("assistant", "y" * 500, (call,)), Message("tool", "z" * 20, answers=1)])
    (short,) = cut([response], 221)
    (said, told) = short.turns
    assert said.content == "y" * 50 + NOTE.format(400) + "y" * 50
    assert said.calls == (replace(call, arguments="x" * 50 + NOTE.format(400) + "x" * 50),)
    assert told == response.turns[1]


def test_texts_and_the_query_are_left_alone():
    assert cut(["x" * 5000, trajectory(5000)], 200)[0] == "x" * 5000
    assert within_budget(Item("i", ASK, (trajectory(5000),)), 200).messages == ASK


@given(st.lists(st.integers(0, 400), min_size=1, max_size=8), st.integers(200, 900))
def test_the_budget_is_kept_and_used(lengths, chars):
    (short,) = cut([trajectory(*lengths)], chars)
    left = [
        text.count("abcdefghij"[i]) - NOTE.count("abcdefghij"[i]) * ("[Left" in text)
        for i, text in enumerate(contents(short))
    ]
    assert sum(left) == sum(lengths) if sum(lengths) <= chars else chars - len(lengths) < sum(left) <= chars
