"""Definitions of tools in every form that programs write, and what is no list of them."""

import json

import pytest

from spct.errors import InputError
from spct.items import fingerprint, item_to_row, parse_item
from spct.items.tools import tool_row, tools_of, with_tools, without_tools
from spct.types import Item, Message, Tool

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WRITTEN = json.dumps(SCHEMA)
FUNCTION = {"name": "weather", "description": "The weather of a city.", "parameters": SCHEMA}
WEATHER = Tool("weather", "The weather of a city.", WRITTEN)
FILLED_IN = {**SCHEMA, "properties": {"city": {"type": "string", "enum": None}, "unit": None}, "items": None}

FORMS = {
    "openai": {"type": "function", "function": {**FUNCTION, "strict": True}},
    "responses": {"type": "function", **FUNCTION, "strict": None},
    "flat": FUNCTION,
    "anthropic": {"name": "weather", "description": FUNCTION["description"], "input_schema": SCHEMA},
    "mcp": {"name": "weather", "description": FUNCTION["description"], "inputSchema": SCHEMA, "annotations": {}},
    "gemini": {
        "functionDeclarations": [
            {"name": "weather", "description": FUNCTION["description"], "parametersJsonSchema": SCHEMA}
        ]
    },
    "as text": json.dumps(FUNCTION),
    "schema as text": {**FUNCTION, "parameters": WRITTEN},
    "of a table": {"type": "function", "function": {**FUNCTION, "parameters": FILLED_IN, "strict": None}},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_every_form_gives_the_same_tool(form):
    assert tools_of([form], "here") == (WEATHER,)
    assert tools_of(json.dumps([form]), "here") == (WEATHER,)


def test_tools_without_description_or_schema_and_those_of_a_provider():
    custom = {"type": "custom", "custom": {"name": "shell", "format": {"type": "grammar"}}}
    found = tools_of([{"name": "stop"}, {"type": "web_search"}, custom, {"name": "x", "parameters": {}}], "here")
    assert found == (Tool("stop"), Tool("web_search"), Tool("shell", "", '{"type": "grammar"}'), Tool("x"))


@pytest.mark.parametrize("nothing", [None, "", " ", [], "[]", "null"])
def test_nothing_is_no_tool(nothing):
    assert tools_of(nothing, "here") == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("hammer, saw", "here: got text 'hammer, saw'; expected a list of tools"),
        (["hammer"], r"here\[0\]: got text 'hammer'; expected a list of tools"),
        (7, r"here\[0\]: got int 7; expected a list of tools"),
        ([{"type": "function"}], r"here\[0\].name: got null; expected the name of the tool"),
        ([{"function": "f"}], r"here\[0\].function: got text 'f'; expected {name, description, parameters}"),
        ([FUNCTION, {"name": " "}], r"here\[1\].name: got text ' '; expected the name of the tool"),
        ([{"functionDeclarations": [FUNCTION, 3]}], r"here\[0\].functionDeclarations\[1\]: got int 3"),
        ([{"name": "f", "description": 4}], r"here\[0\].description: got int 4; expected text"),
        ([{"name": "f\ud800"}], r"here\[0\].name: got a lone surrogate"),
        ("[" * 10_000, "here: got text"),
    ],
)
def test_what_is_no_tool_is_refused_by_its_place(value, message):
    with pytest.raises(InputError, match=message):
        tools_of(value, "here")


def test_a_row_has_its_tools_with_the_first_turn_and_gives_them_back():
    row = {"prompt": "How warm is it?", "responses": ["4", "5"], "tools": [FORMS["openai"]]}
    item = parse_item(row, where="here")
    assert item.messages == (Message("user", "How warm is it?", tools=(WEATHER,)),)
    assert "tools" not in item.extra
    assert parse_item(json.loads(json.dumps(item_to_row(item))), where="here") == item
    assert tools_of([tool_row(WEATHER), tool_row(Tool("stop"))], "here") == (WEATHER, Tool("stop"))


def test_tools_change_the_fingerprint_and_their_absence_nothing():
    row = {"prompt": "q", "responses": ["a", "b"]}
    bare = parse_item(row, where="here")
    assert [parse_item({**row, "tools": none}, where="here") for none in (None, [])] == [bare, bare]
    marks = {fingerprint(parse_item({**row, "tools": [{"name": name}]}, where="here")) for name in "fg"}
    assert len(marks | {fingerprint(bare)}) == 3
    assert bare.id == "d8bb76cf4a80b77d"  # as before there were any


def test_every_shape_of_rows_takes_tools():
    turn, said = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
    other = {**said, "content": "b"}
    shapes = [
        {"messages": [turn], "responses": ["a", "b"]},
        {"prompt": [turn], "chosen": [said], "rejected": [other]},
        {"chosen": [turn, said], "rejected": [turn, other]},
        {"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"},
        {"messages": [turn], "responses": [[turn, said], [turn, other]]},
        {"messages": [{**turn, "tools": [FUNCTION]}], "responses": [[turn, said], [turn, other]], "tools": None},
    ]
    for shape in shapes:
        item = parse_item({"tools": [FUNCTION], **shape}, where="here")
        assert item.messages == (Message("user", "q", tools=(WEATHER,)),) and item.responses == ("a", "b")


def test_tools_are_added_behind_those_of_the_turn():
    asked = with_tools((Message("user", "q", tools=(WEATHER,)), Message("user", "r")), (Tool("stop"),))
    assert asked[0].tools == (WEATHER, Tool("stop")) and asked[1].tools == ()
    assert without_tools(asked) == (Message("user", "q"), Message("user", "r"))
    assert fingerprint(Item("", asked, ("a",))) != fingerprint(Item("", without_tools(asked), ("a",)))
