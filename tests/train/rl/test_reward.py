"""Eq 11 on every case."""

import pytest

from spct.templates import load_template
from spct.train.rl.reward import score_rollout
from spct.types import Item, Message

QUERY = (Message("user", "Name a prime."),)
PAIR = Item("pair", QUERY, ("11", "12"), best=0)
FOUR = Item("four", QUERY, ("8", "9", "11", "12"), best=2)
RIGHT = Item("right", QUERY, ("11",), best=None, rewards_N=(1.0,))
WRONG = Item("wrong", QUERY, ("12",), best=None, rewards_N=(0.0,))
GRM, SINGLE = load_template("grm"), load_template("grm-single")


def boxed(*scores: int) -> str:
    return rf"#### Scores \boxed{{{', '.join(map(str, scores))}}}"


@pytest.mark.parametrize(
    ("item", "order", "text", "reward", "grade"),
    [
        (PAIR, (0, 1), boxed(9, 5), 1, "correct"),
        (PAIR, (1, 0), boxed(9, 5), -1, "wrong"),  # the first shown is response 1
        (PAIR, (1, 0), boxed(5, 6), 1, "correct"),
        (PAIR, (0, 1), boxed(7, 7), -1, "tied"),
        (PAIR, (0, 1), boxed(5, 9), -1, "wrong"),
        (FOUR, (0, 1, 2, 3), boxed(1, 2, 3, 2), 1, "correct"),
        (FOUR, (3, 2, 0, 1), boxed(1, 9, 2, 3), 1, "correct"),
        (FOUR, (3, 2, 0, 1), boxed(1, 9, 9, 3), -1, "tied"),
        (FOUR, (3, 2, 0, 1), boxed(1, 8, 9, 9), -1, "wrong"),  # a tie between others is no tie
        (RIGHT, (0,), boxed(1), 1, "correct"),
        (RIGHT, (0,), boxed(0), -1, "wrong"),
        (WRONG, (0,), boxed(0), 1, "correct"),
        (WRONG, (0,), boxed(1), -1, "wrong"),
    ],
)
def test_reward_of_valid_judgments(item, order, text, reward, grade) -> None:
    scored = score_rollout(text, "stop", item, order, SINGLE if len(order) == 1 else GRM)
    assert (scored.reward, scored.grade) == (reward, grade)


@pytest.mark.parametrize(
    "text", ["", "no box", boxed(9), boxed(9, 5, 1), boxed(0, 5), boxed(11, 5), r"\boxed{9.5, 5}", r"\boxed{9, 5"]
)
def test_what_cannot_be_read_is_else(text: str) -> None:
    scored = score_rollout(text, "stop", PAIR, (0, 1), GRM)
    assert (scored.reward, scored.grade, scored.shown) == (-1, "invalid", None)


def test_a_single_response_is_scored_0_or_1() -> None:
    assert score_rollout(boxed(10), "stop", RIGHT, (0,), SINGLE).grade == "invalid"


def test_what_was_cut_off_counts_only_if_it_ends_with_its_box() -> None:
    assert score_rollout(boxed(9, 5), "length", PAIR, (0, 1), GRM).reward == 1
    assert score_rollout(boxed(9, 5) + " and then", "length", PAIR, (0, 1), GRM).grade == "invalid"
