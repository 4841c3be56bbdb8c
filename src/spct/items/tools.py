"""The tools that an assistant was given, as programs write them: one reader for rows, the service, adapters and data sets.

OpenAI's chat requests (``{type: function, function: {name, description, parameters}}``), the Responses API and most data sets
(the same, flat), Anthropic (``input_schema``), MCP (``inputSchema``), Gemini (``functionDeclarations``); the list, or each
of them, may be JSON as text. A provider's own tool without a name has that of its type (``web_search``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from spct.items.arguments import as_json
from spct.items.refusals import refuse, show, text_of
from spct.types import Message, Tool

SCHEMAS = ("parameters", "input_schema", "inputSchema", "parameters_json_schema", "parametersJsonSchema", "format")
LISTS = ("tools", "functionDeclarations", "function_declarations")
EXPECTED = "a list of tools {type: function, function: {name, description, parameters}}; name the key otherwise if it is not that"


def tools_of(value: object, where: str) -> tuple[Tool, ...]:
    """The tools of a list of them, () for null or blank text. Raises InputError, which begins with ``where``."""
    if isinstance(value, str):
        value = _parsed(value, where) if value.strip() else None
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        value = [value]
    return tuple([_tool(one, place) for i, each in enumerate(value) for one, place in _flat(each, f"{where}[{i}]")])


def with_tools(turns: tuple[Message, ...], tools: Sequence[Tool]) -> tuple[Message, ...]:
    """The conversation whose assistant has ``tools``: they stand with its first turn, behind those that it has already."""
    return (replace(turns[0], tools=(*turns[0].tools, *tools)), *turns[1:]) if tools else turns


def without_tools(turns: Sequence[Message]) -> tuple[Message, ...]:
    """The turns as they were said."""
    return tuple([replace(turn, tools=()) if turn.tools else turn for turn in turns])


def tool_row(tool: Tool) -> dict[str, Any]:
    """A tool as OpenAI's chat requests write it, its schema as text: ``tools_of`` of such rows gives the tools back."""
    told = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": {key: text for key, text in told.items() if text}}


def _flat(value: object, where: str) -> Iterator[tuple[object, str]]:
    """What a list of tools holds in one place: a tool, or a list of more, as Gemini has it."""
    if isinstance(value, str):
        value = _parsed(value, where)
    key = next((key for key in LISTS if isinstance(value, Mapping) and isinstance(value.get(key), (list, tuple))), None)
    if key is None or not isinstance(value, Mapping):
        yield value, where
        return
    for i, each in enumerate(value[key]):
        yield each, f"{where}.{key}[{i}]"


def _tool(value: object, where: str) -> Tool:
    if not isinstance(value, Mapping):
        refuse(where, show(value), EXPECTED)
    told = value.get("function") or value.get("custom") or value
    if not isinstance(told, Mapping):
        refuse(f"{where}.function", show(told), "{name, description, parameters}")
    name = told.get("name") or (value.get("type") if value.get("type") not in ("function", "custom") else None)
    if not isinstance(name, str) or not name.strip():
        refuse(f"{where}.name", show(name), f"the name of the tool, in {EXPECTED}")
    description, schema = told.get("description"), next((told[key] for key in SCHEMAS if told.get(key)), None)
    return Tool(
        text_of(name, f"{where}.name"),
        "" if description is None else text_of(description, f"{where}.description").strip(),
        "" if schema is None else as_json(schema, f"{where}.parameters"),
    )


def _parsed(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        refuse(where, show(text), EXPECTED)
