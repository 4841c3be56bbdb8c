"""Conversations as OpenAI, TRL, Hugging Face data sets and NeMo write them, and what the reader makes of them."""

import copy
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spct.errors import InputError
from spct.items import fingerprint, item_to_row, parse_item, read_items
from spct.items.conversation import query_of, response_of, response_row
from spct.items.messages import messages_of, turn_row
from spct.turns import turns_of
from spct.types import Item, Message, ToolCall, Trajectory

ASK = {"role": "user", "content": "How warm is it in Oslo?"}
ANSWER = {"role": "assistant", "content": "It is 4 degrees."}
CALLED = Message("assistant", "", (ToolCall(1, "weather", '{"city": "Oslo"}'),))
RETURNED = Message("tool", '{"celsius": 4}', answers=1)
SAID = Message("assistant", "It is 4 degrees.")
TRAJECTORY = Trajectory((CALLED, RETURNED, SAID))

OPENAI = [
    {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [
            {"id": "call_Zx", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_Zx", "content": '{"celsius": 4}'},
    ANSWER,
]
TRL = [
    {
        "role": "assistant",
        "tool_calls": [{"type": "function", "function": {"name": "weather", "arguments": {"city": "Oslo"}}}],
    },
    {"role": "tool", "name": "weather", "content": '{"celsius": 4}'},
    ANSWER,
]
# As an Arrow table gives rows back: every turn has all keys, and every call the arguments of every tool.
TABLE = [
    {"role": "assistant", "content": None, "name": None, "tool_call_id": None, "tool_calls": [
        {"id": "0", "function": {"name": "weather", "arguments": {"city": "Oslo", "currency": None}}}]},
    {"role": "tool", "content": '{"celsius": 4}', "name": None, "tool_call_id": "0", "tool_calls": None},
    {"role": "assistant", "content": "It is 4 degrees.", "name": None, "tool_call_id": None, "tool_calls": []},
]  # fmt: skip
RESPONSES_API = [
    {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "A tool would know."}]},
    {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city": "Oslo"}', "status": "completed"},
    {"type": "function_call_output", "call_id": "c1", "output": '{"celsius": 4}'},
    {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [
        {"type": "output_text", "text": "It is 4 degrees.", "annotations": []}]},
]  # fmt: skip
OLD = [
    {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": '{"city": "Oslo"}'}},
    {"role": "function", "name": "weather", "content": '{"celsius": 4}'},
    ANSWER,
]
FLAT = [
    {"role": "assistant", "content": "", "tool_calls": [{"id": 7, "name": "weather", "arguments": '{"city": "Oslo"}'}]},
    {"role": "tool", "tool_call_id": 7, "content": {"celsius": 4}},
    ANSWER,
]
SHAPES = {"openai": OPENAI, "trl": TRL, "table": TABLE, "responses": RESPONSES_API, "old": OLD, "flat": FLAT}


@pytest.mark.parametrize("turns", SHAPES.values(), ids=SHAPES)
def test_one_trajectory_whoever_wrote_it(turns):
    assert response_of(turns, "here") == TRAJECTORY
    assert response_of([ASK, *turns], "here", query_of([ASK], "here")) == TRAJECTORY
    item = parse_item({"prompt": [ASK], "responses": [turns, "4 degrees"], "best": 0}, where="row")
    assert item.responses == (TRAJECTORY, "4 degrees")
    assert parse_item(item_to_row(item), where="again") == item


def test_its_text_is_what_whoever_reads_texts_is_given():
    assert str(TRAJECTORY) == (
        '[Turn 1: assistant]\n[Call 1: "weather"]\n{"city": "Oslo"}\n'
        '[Turn 2: tool]\n[Result of call 1]\n{"celsius": 4}\n[Turn 3: assistant]\nIt is 4 degrees.'
    )
    assert len(TRAJECTORY) == 142 and TRAJECTORY.startswith("[Turn 1")


def test_a_trajectory_equals_one_of_the_same_turns_and_no_text():
    again = Trajectory((CALLED, RETURNED, SAID))
    assert again == TRAJECTORY and hash(again) == hash(TRAJECTORY) and len({again, TRAJECTORY}) == 1
    assert str(TRAJECTORY) + "" != TRAJECTORY and "".join(TRAJECTORY) != TRAJECTORY
    assert Trajectory((CALLED, SAID)) != TRAJECTORY
    for other in (pickle.loads(pickle.dumps(TRAJECTORY)), copy.deepcopy(TRAJECTORY)):
        assert other == TRAJECTORY and other.turns == TRAJECTORY.turns
    plain = Item("i", (Message("user", "q"),), ("".join(TRAJECTORY),))
    assert fingerprint(plain) != fingerprint(Item("i", (Message("user", "q"),), (TRAJECTORY,)))


def test_one_turn_of_words_is_a_text():
    assert response_of([ANSWER], "here") == "It is 4 degrees." and type(response_of([ANSWER], "here")) is str
    assert type(response_of(OPENAI[:1], "here")) is Trajectory


@pytest.mark.parametrize("last", [OPENAI[:1], OPENAI[:2], [*OPENAI, {"role": "user", "content": "Thanks"}]])
def test_a_rollout_may_end_anywhere(last):
    assert turns_of(response_of(last, "here")) == messages_of(last, "here")


def test_calls_are_numbered_over_query_and_response():
    row = {"messages": [ASK, *OPENAI, {"role": "user", "content": "And in Rome?"}], "responses": [OPENAI, TRL]}
    item = parse_item(row, where="row")
    assert [call.number for turn in item.messages for call in turn.calls] == [1]
    assert item.responses[0] == item.responses[1]
    assert [turn.answers for turn in turns_of(item.responses[0])] == [None, 2, None]
    assert parse_item(item_to_row(item), where="again") == item


def test_results_find_their_calls_by_id_then_by_name_then_by_order():
    def result(**of):
        return {"role": "tool", "content": "x", **of}

    def answers(*results):
        calls = [
            {"id": id, "function": {"name": name, "arguments": "{}"}} for id, name in zip("abc", "fgf", strict=True)
        ]
        return [turn.answers for turn in messages_of([{"role": "assistant", "tool_calls": calls}, *results], "x")[1:]]

    assert answers(result(tool_call_id="c"), result(tool_call_id="a")) == [3, 1]
    assert answers(result(name="g"), result(name="f"), result(name="f")) == [2, 1, 3]
    assert answers(result(), result(), result(), result()) == [1, 2, 3, None]
    assert answers(result(tool_call_id="z"), result(name="h"), result()) == [None, None, 1]
    (lone,) = messages_of([result(tool_call_id="z", name="f")], "x")
    assert (lone.answers, lone.name) == (None, "f")


def test_arguments_are_json_written_one_way_or_what_the_model_wrote():
    def arguments(value):
        return (
            messages_of([{"role": "assistant", "tool_calls": [{"name": "f", "arguments": value}]}], "x")[0]
            .calls[0]
            .arguments
        )

    assert arguments('{"a":1,\n "b":null}') == '{"a": 1, "b": null}'
    assert arguments({"a": 1, "b": None, "c": [{"d": None}]}) == '{"a": 1, "c": [{}]}'
    assert arguments('{"a": 1') == '{"a": 1'
    assert arguments('{"a": NaN}') == '{"a": NaN}'
    assert arguments('"\\ud83d"') == '"\\ud83d"'
    assert arguments("é") == "é" and arguments('{"a": "\\u00e9"}') == '{"a": "é"}'
    assert arguments(None) == "{}" and arguments("") == ""
    assert arguments("[" * 100_000) == "[" * 100_000


def test_roles_names_and_parts():
    turns = [
        {"role": "developer", "content": [{"type": "input_text", "text": "Be brief."}], "name": None},
        {"role": "user", "content": [{"type": "text", "text": "Hi", "image_url": None}, "there"], "name": "ann"},
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "user", "content": "Why?", "tool_calls": None, "audio": None},
    ]
    assert messages_of(turns, "x") == (
        Message("developer", "Be brief."),
        Message("user", "Hi\nthere", name="ann"),
        Message("assistant", "No."),
        Message("user", "Why?"),
    )
    assert query_of([{"role": "developer", "content": "Write a haiku."}], "x") == (
        Message("developer", "Write a haiku."),
    )


@pytest.mark.parametrize("key", ["prompt", "messages", "query"])
def test_text_that_is_the_json_of_a_conversation_is_that_conversation(key):
    text = ' [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]\n'
    item = parse_item({key: text, "responses": ["a"]}, where="row")
    assert item.messages == (Message("system", "s"), Message("user", "q"))


def test_a_text_that_would_become_millions_of_objects_is_not_read_as_one():
    with pytest.raises(
        InputError, match="x: got the JSON of a list, of 1,200,012 characters; expected at most 1,000,000"
    ):
        query_of('[{"role":1}' + ",{}" * 400_000 + "]", "x")


def test_the_trajectories_of_the_examples_are_read():
    first, second = read_items(Path(__file__).parent.parent.parent / "examples" / "trajectories" / "items.jsonl")
    assert [type(response) for response in first.responses] == [Trajectory] * 2 and first.best == 0
    assert [turn.answers for turn in turns_of(first.responses[0])] == [None, 1, None, 2, None]
    assert [type(response) for response in second.responses] == [str, Trajectory] and second.best == 1


@pytest.mark.parametrize("text", ["[1, 2]", '[{"role": "user"}]', '[{"content": "q"}]', "[x]", "[" * 90_000, "[]"])
def test_other_text_in_brackets_is_text(text):
    assert query_of(text, "x") == (Message("user", text),)


def test_pairs_of_trajectories_part_where_the_assistant_begins_to_differ():
    same = [ASK, OPENAI[0]]
    row = {"chosen": [*same, OPENAI[1], ANSWER], "rejected": [*same, {**OPENAI[1], "content": "error"}, ANSWER]}
    item = parse_item(row, where="row")
    assert item.messages == (Message("user", ASK["content"]),)
    assert item.responses == (TRAJECTORY, Trajectory((CALLED, Message("tool", "error", answers=1), SAID)))
    longer = parse_item({"chosen": [ASK, ANSWER], "rejected": [ASK, ANSWER, ASK, ANSWER]}, where="row")
    assert [str(response).count("[Turn") for response in longer.responses] == [0, 3]
    shared = parse_item(
        {"chosen": [*same, OPENAI[1], ANSWER], "rejected": [*same, OPENAI[1], {**ANSWER, "content": "?"}]}, where="r"
    )
    assert (len(shared.messages), shared.responses) == (3, ("It is 4 degrees.", "?"))


BAD = [
    ([{"type": "web_search_call", "id": "w"}], "[0]: got an item of type text 'web_search_call'"),
    ([{"content": "a"}], "[0]: got the role null"),
    ([{**ANSWER, "tool_calls": "f"}], "[0].tool_calls: got text 'f'"),
    ([{**ANSWER, "tool_calls": [{"function": {"arguments": "{}"}}]}], "[0].tool_calls[0].name: got null"),
    ([{**ANSWER, "tool_calls": [{"function": "f"}]}], "[0].tool_calls[0].function: got text 'f'"),
    ([ANSWER, {**ASK, "tool_calls": [{"name": "f"}]}], "[1]: got tool calls of the user"),
    ([{**ANSWER, "audio": {"id": "a"}}], "[0]: got a message with audio"),
    ([{**ANSWER, "name": 3}], "[0].name: got int 3"),
    ([{"role": "assistant"}], "[0]: got a message without content"),
    ([{"role": "assistant", "content": 3}], "[0].content: got int 3"),
    ([{"role": "assistant", "content": [{"type": "file"}]}], "[0].content[0]: got a part of type 'file'"),
    ([{"role": "assistant", "content": [3]}], "[0].content[0]: got int 3"),
    ([{"type": "function_call", "name": "\ud83d", "arguments": "{}"}], "[0].name: got a lone surrogate"),
]


@pytest.mark.parametrize(("turns", "said"), BAD)
def test_what_cannot_be_read_is_refused_by_place_and_kind(turns, said):
    with pytest.raises(InputError) as caught:
        response_of(turns, "r")
    assert str(caught.value).startswith(f"r{said}")


PNG = "data:image/png;base64,iVBORw0KGgo="


def test_images_are_kept_by_address_and_in_rows_by_reference():
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
    ]
    row = {"messages": [{"role": "user", "content": parts}], "responses": ["A dot."]}
    item = parse_item(row, where="row")
    assert item.messages == (Message("user", "What is this?", images=(PNG,)),)
    kept = item_to_row(item)["messages"][0]["content"][1]["image_url"]["url"]
    assert kept == "image:png;blake2b=1eb8bd9f11a0cc2a5a8cc4c2ae71b2a8;chars=34" or kept.startswith(
        "image:png;blake2b="
    )
    again = parse_item(item_to_row(item), where="again")
    assert again.messages[0].images == (kept,) and fingerprint(again) == fingerprint(item)
    assert turn_row(item.messages[0])["content"][1]["image_url"]["url"] == PNG
    far = {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "auto"}
    assert query_of([{"role": "user", "content": [far]}], "x")[0].images == ("https://example.org/a.png",)


NO_IMAGES = [
    {"type": "image"},
    {"type": "image_url", "image_url": "file:///etc/passwd"},
    {"type": "image", "image": {"bytes": 3}},
    {"type": "image_url", "image_url": "data:text/html,x"},
]


@pytest.mark.parametrize("part", NO_IMAGES)
def test_images_without_an_address_are_refused(part):
    with pytest.raises(InputError, match=r"x\[0\].content\[0\]: got an image as .*; expected images as image_url"):
        query_of([{"role": "user", "content": [part]}], "x")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = texts.filter(lambda text: bool(text.strip()))


@st.composite
def trajectories(draw):
    """Trajectories as the reader may give them: calls numbered in order, results of calls that were made."""
    turns, calls, waiting = [], 0, []
    for i in range(draw(st.integers(1, 5))):
        role = "assistant" if i == 0 else draw(st.sampled_from(["assistant", "tool", "user"]))
        if role == "assistant":
            made = draw(st.integers(0, 2))
            said = tuple(ToolCall(calls + 1 + j, draw(names), '{"a": 1}') for j in range(made))
            waiting += [call.number for call in said]
            calls += made
            turns.append(Message("assistant", draw(texts), said))
        elif role == "tool" and waiting:
            turns.append(Message("tool", draw(texts), answers=waiting.pop(draw(st.integers(0, len(waiting) - 1)))))
        else:
            turns.append(Message("user", draw(texts), name=draw(st.none() | names)))
    return Trajectory(turns)


@given(trajectories())
def test_rows_of_a_trajectory_give_it_back(trajectory):
    lone = len(trajectory.turns) == 1 and trajectory.turns[0].is_plain
    assert response_of(response_row(trajectory), "x") == (trajectory.turns[0].content if lone else trajectory)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=4)
    | st.sampled_from(["user", "assistant", "tool", "function_call"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "type",
                    "text",
                    "tool_calls",
                    "function",
                    "name",
                    "arguments",
                    "tool_call_id",
                    "output",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=14,
)


@given(json_values)
def test_any_json_is_a_response_or_an_input_error(value):
    try:
        response = response_of(value, "r")
    except InputError as error:
        assert str(error).startswith("r")
    else:
        assert response_of(response_row(response), "r") == response
