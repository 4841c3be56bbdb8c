import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spct.errors import InputError
from spct.items import fingerprint, item_to_row, parse_item
from spct.types import Item, Message

ASK = {"role": "user", "content": "q"}
USER = (Message("user", "q"),)


def parse(**row: object) -> Item:
    return parse_item(row, where="f, line 3")


def says(say: str) -> dict[str, str]:
    return {"role": "assistant", "content": say}


def test_prompt_and_responses() -> None:
    assert parse(prompt="q", responses=["a", ""]) == Item("53fba5269989429c", USER, ("a", ""))
    assert parse(query="q", responses=["a"]).messages == USER
    assert parse(messages="q", responses=["a"]).messages == USER
    assert parse(prompt=[ASK], messages=None, responses=["a"]).messages == USER


def test_messages_keep_system_turns_and_join_text_parts() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two", "image_url": None}]
    messages = [{"role": "system", "content": "s"}, ASK, says("a"), {"role": "user", "content": parts}]
    expected = (Message("system", "s"), *USER, Message("assistant", "a"), Message("user", "one\ntwo"))
    assert parse(messages=messages, responses=["b"]).messages == expected


def test_responses_may_be_assistant_messages() -> None:
    rows = ["a", says("b"), [says("c")], {"content": [{"type": "text", "text": "d"}]}]
    assert parse(prompt="q", responses=rows).responses == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "q", "chosen": "good", "rejected": "bad"},
        {"prompt": [ASK], "chosen": [says("good")], "rejected": [says("bad")]},
        {"chosen": [ASK, says("good")], "rejected": [ASK, says("bad")]},
        {"prompt": "q", "messages": [ASK, says("good")], "chosen": [ASK, says("good")], "rejected": [ASK, says("bad")]},
        {"chosen": "\n\nHuman: q\n\nAssistant: good", "rejected": "\n\nHuman: q\n\nAssistant: bad\n"},
        {"prompt": "\n\nHuman: q\n\nAssistant:", "chosen": "good", "rejected": "bad"},
        {"prompt": "q", "chosen": "good", "rejected": "bad", "rewards": [2, 1]},
    ],
)
def test_preference_rows(row: dict[str, object]) -> None:
    item = parse(**row)
    assert (item.messages, item.responses, item.best) == (USER, ("good", "bad"), 0)
    assert item.extra == {}


def test_transcripts_part_at_the_first_different_turn() -> None:
    """As in real HH rows: one response runs on into turns of its own."""
    shared = "\n\nHuman: q\n\nAssistant: a\n\nHuman: r\n\nAssistant:"
    item = parse(chosen=shared + " I", rejected=shared + " No.\n\nHuman: why\n\nAssistant: so")
    assert item.messages == (*USER, Message("assistant", "a"), Message("user", "r"))
    assert item.responses == ("I", "No.\n\nHuman: why\n\nAssistant: so")


def test_an_identical_pair_still_splits_before_the_last_turn() -> None:
    text = "\n\nHuman: q\n\nAssistant: a"
    assert parse(chosen=text, rejected=text).responses == ("a", "a")


def test_optional_keys() -> None:
    item = parse(id=7, prompt="q", responses=["a", "b"], best=1.0, reference="r", principles="p", source={"x": [1]})
    expected = Item("7", USER, ("a", "b"), best=1, reference="r", principles="p", extra={"source": {"x": [1]}})
    assert item == expected


def test_rewards_set_the_best_where_their_maximum_is_unique() -> None:
    item = parse(prompt="q", responses=["a", "b", "c"], rewards=[0, 2.5, 1])
    assert (item.best, item.rewards_N) == (1, (0.0, 2.5, 1.0))
    assert parse(prompt="q", responses=["a", "b"], rewards=[1, 1]).best is None
    assert parse(prompt="q", responses=["a"], rewards=[1]).best is None


@pytest.mark.parametrize(("label", "reward"), [(0, 0.0), (1, 1.0), (True, 1.0), (1.0, 1.0)])
def test_label(label: object, reward: float) -> None:
    item = parse(prompt="q", responses=["a"], label=label)
    assert (item.rewards_N, item.best) == ((reward,), None)


def test_principles_become_a_numbered_list() -> None:
    given = ["Truth", {"name": "Tone", "weight": 40}, {"criterion": "Length", "weight": "20%", "description": "short"}]
    expected = "1. Truth\n2. Tone (Weight: 40)\n3. Length (Weight: 20%): short"
    assert parse(prompt="q", responses=["a"], principles=given).principles == expected


BAD = [
    ({}, "got a row with no keys; expected one of the shapes {prompt | messages | query, responses}"),
    ({"prompt": "q"}, "a row with prompt; expected one of the shapes"),
    ({"responses": ["a"]}, "no query; expected one of prompt, messages, query"),
    ({"prompt": "q", "query": "q", "responses": ["a"]}, "a row with prompt and query; expected one of them"),
    ({"prompt": "q", "responses": ["a"], "chosen": "a", "rejected": "b"}, "with responses and with chosen, rejected"),
    ({"prompt": 3, "responses": ["a"]}, "prompt: got int 3; expected text or a list of messages"),
    ({"prompt": " \n", "responses": ["a"]}, "prompt: got an empty query; expected text"),
    ({"prompt": [], "responses": ["a"]}, "prompt: got no messages"),
    ({"prompt": [ASK, says("a")], "responses": ["a"]}, "a last message of the assistant"),
    ({"prompt": ["q"], "responses": ["a"]}, "prompt[0]: got text 'q'; expected a message {role, content}"),
    ({"prompt": [{"role": "human", "content": "q"}], "responses": ["a"]}, "the role text 'human'; expected one of sys"),
    ({"prompt": [{"role": ["user"], "content": "q"}], "responses": ["a"]}, "the role a list"),
    ({"prompt": [{"role": "user"}], "responses": ["a"]}, "a message without content"),
    ({"prompt": [{"role": "user", "content": [{"type": "image_url"}]}], "responses": ["a"]}, "an image as no address"),
    (
        {"prompt": [{"role": "user", "content": [{"type": "video"}]}], "responses": ["a"]},
        "audio, video and files are un",
    ),
    ({"prompt": "q", "responses": "a"}, "responses: got text 'a'; expected a list of texts"),
    ({"prompt": "q", "responses": []}, "responses: got an empty list; expected at least one response"),
    ({"prompt": "q", "responses": ["a", None]}, "responses[1]: got null"),
    ({"prompt": "q", "responses": ["a", 3]}, "responses[1]: got int 3"),
    ({"prompt": "r", "responses": [[ASK, says("b")]]}, "turns of user, assistant; expected the assistant's turn first"),
    ({"prompt": "q", "responses": [{**says("a"), "tool_calls": [1]}]}, "tool_calls[0]: got int 1; expected a call"),
    ({"prompt": "q", "responses": ["\ud83d"]}, "a lone surrogate \\ud83d at character 0"),
    ({"chosen": "a", "rejected": "b"}, "chosen and rejected as text without a prompt"),
    ({"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: r\n\nAssistant: b"}, "part at turn 1"),
    ({"chosen": [ASK], "rejected": [ASK]}, "1 and 1 messages that share no turn to which both respond"),
    (
        {"chosen": [ASK, says("a")], "rejected": [{**ASK, "content": "r"}, says("b")]},
        "that share no turn to which both",
    ),
    ({"chosen": 1, "rejected": 2}, "chosen as int 1, rejected as int 2, no prompt"),
    ({"prompt": "q", "chosen": "a", "rejected": "b", "best": 1}, "best: got 1; expected 0, the place of chosen"),
    ({"prompt": "q", "chosen": "a", "rejected": "b", "rewards": [1, 2]}, "chosen as the best and rewards [1.0, 2.0]"),
    ({"prompt": "q", "responses": ["a", "b"], "best": 2}, "best: got int 2; expected the index of a response"),
    ({"prompt": "q", "responses": ["a", "b"], "best": True}, "best: got true"),
    ({"prompt": "q", "responses": ["a", "b"], "best": -1}, "best: got int -1"),
    ({"prompt": "q", "responses": ["a", "b"], "best": "0"}, "best: got text '0'"),
    ({"prompt": "q", "responses": ["a", "b"], "best": 0, "rewards": [1, 1]}, "best = 0 and rewards [1.0, 1.0]"),
    ({"prompt": "q", "responses": ["a", "b"], "rewards": [1]}, "rewards: got 1 numbers; expected 2"),
    ({"prompt": "q", "responses": ["a", "b"], "rewards": [1, math.nan]}, "rewards[1]: got float nan"),
    ({"prompt": "q", "responses": ["a", "b"], "rewards": [1, math.inf]}, "rewards[1]: got float inf"),
    ({"prompt": "q", "responses": ["a", "b"], "rewards": [1, False]}, "rewards[1]: got false"),
    ({"prompt": "q", "responses": ["a", "b"], "rewards": {"a": 1}}, "rewards: got an object"),
    ({"prompt": "q", "responses": ["a", "b", "c"], "label": 1}, "label: got a label of 3 responses"),
    ({"prompt": "q", "responses": ["a"], "label": 2}, "label: got int 2; expected 0 or 1"),
    ({"prompt": "q", "responses": ["a"], "label": 1, "rewards": [0]}, "rewards [0.0] and label 1"),
    ({"prompt": "q", "responses": ["a"], "reference": ""}, "reference: got blank text"),
    ({"prompt": "q", "responses": ["a"], "reference": 4}, "reference: got int 4"),
    ({"prompt": "q", "responses": ["a"], "principles": []}, "principles: got an empty list"),
    ({"prompt": "q", "responses": ["a"], "principles": [{"weight": 3}]}, "principles[0]: got an object with weight"),
    (
        {"prompt": "q", "responses": ["a"], "principles": [{"name": "n", "weight": True}]},
        "principles[0].weight: got tr",
    ),
    ({"prompt": "q", "responses": ["a"], "id": True}, "id: got true; expected text or an integer"),
    ({"prompt": "q", "responses": ["a"], "id": " "}, "id: got text ' '"),
]


@pytest.mark.parametrize(("row", "expected"), BAD)
def test_bad_rows_say_where_what_and_how(row: dict[str, object], expected: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(**row)
    assert str(caught.value).startswith("f, line 3: ")
    assert expected in str(caught.value)


def test_a_row_that_is_no_object() -> None:
    with pytest.raises(InputError, match="f, line 3: got a list; expected an object"):
        parse_item([1], where="f, line 3")


def test_canonical_row() -> None:
    item = Item("7", USER, ("a", "b"), best=1, rewards_N=(0.0, 1.0), reference="r", extra={"source": None})
    assert item_to_row(item) == {
        "source": None,
        "id": "7",
        "messages": [ASK],
        "responses": ["a", "b"],
        "best": 1,
        "rewards": [0.0, 1.0],
        "reference": "r",
    }


def test_fingerprint_covers_what_changes_the_prompt_and_nothing_else() -> None:
    base = parse(prompt="q", responses=["a", "b"])
    assert fingerprint(base) == "d8bb76cf4a80b77d3271e47e07e5f7e5"
    assert fingerprint(parse(id="x", query="q", responses=["a", "b"], best=1, other=2)) == fingerprint(base)
    others = [
        {"prompt": "q", "responses": ["b", "a"]},
        {"prompt": "q ", "responses": ["a", "b"]},
        {"prompt": "q", "responses": ["a", "b"], "reference": "r"},
        {"prompt": "q", "responses": ["a", "b"], "principles": "r"},
        {"messages": [{"role": "system", "content": ""}, ASK], "responses": ["a", "b"]},
    ]
    assert len({fingerprint(base), *(fingerprint(parse(**row)) for row in others)}) == 6


def test_fingerprint_of_text_that_cannot_be_encoded() -> None:
    with pytest.raises(InputError, match="expected text that UTF-8 can encode"):
        fingerprint(Item("0", USER, ("\ud800",)))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
filled = texts.filter(lambda text: bool(text.strip()))
turns = st.builds(Message, st.sampled_from(["system", "developer", "user", "assistant", "tool"]), texts)


@st.composite
def items(draw: st.DrawFn) -> Item:
    responses = tuple(draw(st.lists(texts, min_size=1, max_size=4)))
    n = len(responses)
    rewards = draw(st.none() | st.lists(st.floats(-9, 9), min_size=n, max_size=n).map(tuple))
    best = draw(st.none() | st.integers(0, n - 1)) if rewards is None else None
    if rewards is not None and n > 1 and rewards.count(max(rewards)) == 1:
        best = rewards.index(max(rewards))
    return Item(
        id=draw(filled),
        messages=(*draw(st.lists(turns, max_size=3)), Message("user", draw(filled))),
        responses=responses,
        best=best,
        rewards_N=rewards,
        reference=draw(st.none() | filled),
        principles=draw(st.none() | filled),
        extra=draw(
            st.dictionaries(st.sampled_from(["source", "margin"]), st.none() | st.integers(-(2**63), 2**64 - 1) | texts)
        ),
    )


@given(items())
def test_round_trip(item: Item) -> None:
    assert parse_item(item_to_row(item), where="f") == item


KEYS = ["prompt", "messages", "responses", "chosen", "rejected", "id", "best", "rewards", "label", "principles", "role"]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["user", "assistant"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


@given(json_values)
def test_arbitrary_json_is_an_item_or_an_input_error(row: object) -> None:
    try:
        item = parse_item(row, where="f")
    except InputError as error:
        assert str(error).startswith("f")
    else:
        assert item.responses and item.messages
        assert parse_item(item_to_row(item), where="f") == item
