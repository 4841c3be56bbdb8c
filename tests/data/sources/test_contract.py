"""The contract of the sources, one upstream row each: what becomes of it, and how each refuses what is not its own."""

from pathlib import Path
from typing import Any

import pytest

from data import rows
from spct.data.group import Dropped, Group, LabelRangeError
from spct.data.sources import SOURCES, load_source
from spct.data.sources.helpsteer2 import turns
from spct.errors import InputError
from spct.types import Message

FILE = Path("hh/harmless-base/test.jsonl")
ROWS: dict[str, list[dict[str, Any]]] = {
    "helpsteer2": [rows.HELPSTEER2],
    "helpsteer3": [rows.HELPSTEER3],
    "ultrafeedback": [rows.ULTRAFEEDBACK, rows.BINARIZED],
    "offsetbias": [rows.OFFSETBIAS],
    "skywork": [rows.SKYWORK],
    "hh-rlhf": [rows.HH, rows.HH_SAMPLE],
    "finegrained": [rows.FINEGRAINED],
    "gsm8k": [rows.GSM8K, rows.GSM8K_HUB],
    "math": [rows.MATH],
    "rmb": [rows.RMB_PAIR, rows.RMB_SET],
    "items": [{"prompt": "Hi", "chosen": "Hello", "rejected": "Go"}, {"prompt": "Hi", "responses": ["Yo"], "label": 1}],
}


def read(kind, row):
    return list(load_source(kind).read(row, "a.jsonl, line 1", FILE))


def only(kind, row):
    (found,) = read(kind, row)
    return found


def user(text):
    return (Message("user", text),)


def test_every_kind_is_covered():
    assert set(ROWS) == set(SOURCES)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_row_of_each_layout_gives_one_group_whose_query_ends_with_the_user(kind):
    assert load_source(kind).about.layout
    for row in ROWS[kind]:
        group = only(kind, row)
        assert isinstance(group, Group)
        assert group.messages[-1].role == "user"
        assert all(0 <= i < len(group.responses) for win in group.wins for i in win)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_row_of_another_layout_is_named_with_its_place(kind):
    with pytest.raises(InputError, match=r"a\.jsonl, line 1"):
        read(kind, {"text": "nothing of this kind"})


@pytest.mark.parametrize(
    ("kind", "row", "wins", "strength"),
    [
        ("helpsteer2", rows.HELPSTEER2, ((1, 0),), 2),
        ("helpsteer2", rows.HELPSTEER2 | {"preference_strength": -1}, ((0, 1),), 1),
        ("helpsteer3", rows.HELPSTEER3, ((0, 1),), 3),
        ("offsetbias", rows.OFFSETBIAS, ((1, 0),), None),
        ("offsetbias", rows.OFFSETBIAS | {"label": 1}, ((0, 1),), None),
        ("skywork", rows.SKYWORK, ((0, 1),), None),
        ("hh-rlhf", rows.HH, ((0, 1),), None),
        ("rmb", rows.RMB_SET, ((0, 1), (0, 2)), None),
    ],
)
def test_which_response_wins_and_by_how_much(kind, row, wins, strength):
    group = only(kind, row)
    assert (group.wins, group.strength, group.tied) == (wins, strength, 0)


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("helpsteer2", rows.HELPSTEER2 | {"preference_strength": 0}),
        ("helpsteer3", rows.HELPSTEER3 | {"overall_preference": 0}),
        ("ultrafeedback", rows.BINARIZED | {"score_chosen": 4.0}),
        ("items", {"prompt": "Hi", "responses": ["a", "b"], "rewards": [1, 1]}),
    ],
)
def test_a_tie_wins_nothing_and_is_counted(kind, row):
    group = only(kind, row)
    assert (group.wins, group.tied) == ((), 1)


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("helpsteer2", rows.HELPSTEER2 | {"preference_strength": 4}),
        ("helpsteer2", rows.HELPSTEER2 | {"preference_strength": "2"}),
        ("helpsteer3", rows.HELPSTEER3 | {"overall_preference": -3.5}),
        ("offsetbias", rows.OFFSETBIAS | {"label": 0}),
        ("ultrafeedback", rows.ULTRAFEEDBACK | {"completions": [{"response": "a", "fine-grained_score": 9}] * 2}),
        ("ultrafeedback", rows.BINARIZED | {"score_chosen": 1.0}),
        ("finegrained", rows.FINEGRAINED | {"preference": [1, 1, 1, 0, 2, 3]}),
        ("finegrained", rows.FINEGRAINED | {"preference": [1, 1]}),
        ("items", {"prompt": "Hi", "responses": ["a"], "rewards": [0.5]}),
        ("items", {"prompt": "Hi", "chosen": "a", "rejected": "b", "strength": 9}),
    ],
)
def test_a_label_out_of_range_is_refused_with_its_place(kind, row):
    with pytest.raises(LabelRangeError, match=r"a\.jsonl, line 1"):
        read(kind, row)


def test_helpsteer2_marks_earlier_turns_inside_the_prompt():
    prompt = "Name a prime.\n<extra_id_1>Assistant\n7\n<extra_id_1>User\nA bigger one."
    group = only("helpsteer2", rows.HELPSTEER2 | {"prompt": prompt})
    assert group.messages == (
        Message("user", "Name a prime."),
        Message("assistant", "7"),
        Message("user", "A bigger one."),
    )
    assert turns("no marks") == "no marks"


def test_ultrafeedback_goes_by_the_mean_of_the_ratings_not_by_the_overall_score():
    group = only("ultrafeedback", rows.ULTRAFEEDBACK)
    assert group.rewards_N == (1.25, 4.75, 3.0, 3.0)
    assert group.wins == ((1, 0), (1, 2), (1, 3), (2, 0), (3, 0))
    assert (group.tied, group.domain, group.absolute) == (1, "evol_instruct", False)
    assert only("ultrafeedback", rows.BINARIZED).rewards_N == (8.5, 4.0)


def test_hh_takes_its_domain_from_the_folder_or_the_row():
    assert only("hh-rlhf", rows.HH).domain == "harmless"
    assert only("hh-rlhf", rows.HH_SAMPLE).domain == "helpfulness"


def test_finegrained_reads_the_six_labels_in_order():
    group = only("finegrained", rows.FINEGRAINED)
    assert group.wins == ((0, 1), (0, 2), (0, 3), (3, 1))
    assert (group.tied, group.topic, group.reference) == (2, "Who wrote it?", "Ann wrote it.")
    assert group.messages[0].content == (
        "Answer the question from the passages.\n\nPassage 1: A book\nIt was written by Ann. Ben drew the cover.\n\n"
        "Question: Who wrote it?"
    )


@pytest.mark.parametrize(
    ("kind", "row", "rewards"),
    [("gsm8k", rows.GSM8K, (0.0, 1.0)), ("gsm8k", rows.GSM8K_HUB, (1.0, 1.0, 0.0)), ("math", rows.MATH, (1.0, 0.0))],
)
def test_attempts_are_checked_by_rule_and_each_label_stands_alone(kind, row, rewards):
    group = only(kind, row)
    assert (group.rewards_N, group.absolute, group.tied) == (rewards, True, 0)
    assert group.wins == tuple((i, j) for i, a in enumerate(rewards) for j, b in enumerate(rewards) if a > b)


def test_a_label_that_the_check_contradicts_is_dropped():
    row = rows.GSM8K | {"6b_finetuning": {"is_correct": True, "solution": "3+6=9\nA: 9"}}
    dropped, group = read("gsm8k", row)
    assert dropped == Dropped("the file's label contradicts the check")
    assert group.responses == ("3*6=18\nA: 18",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"answer": "no marks"}, "no answer in the reference solution"), ({"solutions": []}, "no solutions to check")],
)
def test_a_problem_without_answer_or_attempts_is_dropped(change, reason):
    assert read("gsm8k", rows.GSM8K_HUB | change) == [Dropped(reason)]


def test_rmb_domain_and_own_items_without_truth():
    assert only("rmb", rows.RMB_PAIR).domain == "Helpfulness/Chat"
    assert only("rmb", rows.RMB_SET).domain == "Harmlessness/S1"
    assert read("items", {"prompt": "Hi", "responses": ["a", "b"]}) == [Dropped("no ground truth")]
    found = only("items", {"prompt": "Hi", "responses": ["a", "b", "c"], "best": 2, "strength": 3, "domain": "chat"})
    assert (found.wins, found.strength, found.domain) == (((2, 0), (2, 1)), 3, "chat")


def test_unknown_and_own_kinds():
    with pytest.raises(InputError, match=r"source kind 'helpster2': expected one of helpsteer2"):
        load_source("helpster2")
    with pytest.raises(InputError, match="cannot import"):
        load_source("spct.nothing:Here")
    assert load_source("spct.data.sources.rmb:RMBSource").about.title == "RMB"
