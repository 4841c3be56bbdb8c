"""The turns of a conversation as programs write them, read one after the other, and written back.

OpenAI's chat messages (tool calls with their results, parts of text and images, names), the same as Hugging Face data sets
and TRL have them (arguments as objects, keys that are null), and items of the Responses API, which NeMo uses. The calls of a
conversation are numbered in their order, and whatever ids they had are left behind: two trajectories are equal if they say
and do the same. What a model thought apart from its answer (reasoning) is left out; anything else that cannot be read is an
InputError, which begins with ``where``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

from spct.items.arguments import as_json
from spct.items.images import image_of, reference_to
from spct.items.refusals import refuse, show, text_of
from spct.items.tools import tool_row, tools_of
from spct.types import Message, Role, ToolCall

ROLES: tuple[str, ...] = get_args(Role)
OTHER_NAMES = {"function": "tool", "environment": "user"}
"""Roles under the names of OpenAI's first tools, and of NeMo RL."""
TEXT_PARTS = ("text", "input_text", "output_text")
IMAGE_PARTS = ("image_url", "image", "input_image")
THOUGHTS = ("reasoning", "thinking", "redacted_thinking")


def messages_of(value: object, where: str, calls: int = 0) -> tuple[Message, ...]:
    """The turns of a list of them; ``calls`` is how many calls there were in the conversation before."""
    if not isinstance(value, (list, tuple)):
        refuse(where, show(value), "a list of messages {role, content}")
    if all(type(turn) is Message for turn in value):
        return tuple(value)
    reader = _Turns(calls)
    for i, turn in enumerate(value):
        reader.add(turn, f"{where}[{i}]")
    return tuple(reader.turns)


def turn_row(turn: Message, *, kept: bool = False) -> dict[str, Any]:
    """A turn as OpenAI's chat messages write it: ``messages_of`` of such rows gives the turns back.

    ``kept`` is for what is stored: images that came as data are there by reference only.
    """
    row: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.images:
        urls = [reference_to(image) if kept else image for image in turn.images]
        text = [{"type": "text", "text": turn.content}] if turn.content else []
        row["content"] = [*text, *[{"type": "image_url", "image_url": {"url": url}} for url in urls]]
    if turn.calls:
        row["tool_calls"] = [
            {"id": str(call.number), "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in turn.calls
        ]
    if turn.answers is not None:
        row["tool_call_id"] = str(turn.answers)
    if turn.name is not None:
        row["name"] = turn.name
    if turn.tools:
        row["tools"] = [tool_row(tool) for tool in turn.tools]
    return row


class _Turns:
    """Reads turns one after the other: which call a result answers is known from those before it."""

    def __init__(self, calls: int) -> None:
        self.turns: list[Message] = []
        self._calls = calls
        self._waiting: dict[int, tuple[str | None, str]] = {}  # calls without a result: id and name by number

    def add(self, value: object, where: str) -> None:
        if type(value) is Message:
            self.turns.append(value)
            return
        if not isinstance(value, Mapping):
            refuse(where, show(value), "a message {role, content}")
        kind = value.get("type")
        if kind == "message" or (kind is None and "role" in value):
            self._message(value, where)
        elif kind in ("function_call", "custom_tool_call"):
            arguments = value.get("arguments") if kind == "function_call" else value.get("input")
            self._add_call(self._call(value.get("call_id"), value, arguments, where))
        elif kind in ("function_call_output", "custom_tool_call_output"):
            content, images = _content(value.get("output"), f"{where}.output", tool=True)
            self._answer(Message("tool", content, images=images), value.get("call_id"))
        elif kind not in THOUGHTS:
            got = f"the role {show(value.get('role'))}" if kind is None else f"an item of type {show(kind)}"
            refuse(
                where, got, f"a message with one of the roles {', '.join(ROLES)}, or a function's call or its output"
            )

    def _message(self, value: Mapping[str, Any], where: str) -> None:
        role = value.get("role", "assistant")  # the Responses API's messages may lack it: they are the model's
        role = OTHER_NAMES.get(role, role) if isinstance(role, str) else role
        if role not in ROLES:
            refuse(where, f"the role {show(role)}", f"one of {', '.join(ROLES)}")
        calls = self._calls_of(value, where)
        if calls and role != "assistant":
            refuse(where, f"tool calls of the {role}", "them in the assistant's turns")
        if value.get("audio"):
            refuse(where, "a message with audio", "text: it is unsupported")
        content = value.get("content")
        if content is None and isinstance(value.get("refusal"), str):
            content = value["refusal"]
        if content is None and (calls or role == "tool" or (role == "assistant" and "content" in value)):
            content = ""
        text, images = _content(content, f"{where}.content", tool=role == "tool")
        name = value.get("name")
        name = None if name is None or not text_of(name, f"{where}.name").strip() else name
        turn = Message(role, text, calls, None, name, images, tools_of(value.get("tools"), f"{where}.tools"))
        if role == "tool":
            self._answer(turn, value.get("tool_call_id"))
        else:
            self.turns.append(turn)

    def _add_call(self, call: ToolCall) -> None:
        """A call that is an item of its own belongs to the assistant's turn before it."""
        if self.turns and self.turns[-1].role == "assistant":
            self.turns[-1] = replace(self.turns[-1], calls=(*self.turns[-1].calls, call))
        else:
            self.turns.append(Message("assistant", "", (call,)))

    def _answer(self, turn: Message, id: object) -> None:
        """Add a tool's turn with the call that it answers: by id, else the first that waits, of the tool's name if it has one."""
        waiting = self._waiting
        by_id = [number for number, (known, _) in waiting.items() if id is not None and known == str(id)]
        by_name = [number for number, (_, name) in waiting.items() if id is None and turn.name in (None, name)]
        for number in (by_id or by_name)[:1]:
            del waiting[number]
            turn = replace(turn, answers=number, name=None)
        self.turns.append(turn)

    def _calls_of(self, value: Mapping[str, Any], where: str) -> tuple[ToolCall, ...]:
        listed = value.get("tool_calls")
        if listed is None or listed == []:
            listed = [] if value.get("function_call") is None else [{"function": value["function_call"]}]
        if not isinstance(listed, (list, tuple)):
            refuse(f"{where}.tool_calls", show(listed), "a list of calls {id, function: {name, arguments}}")
        found = []
        for i, call in enumerate(listed):
            place = f"{where}.tool_calls[{i}]"
            if not isinstance(call, Mapping):
                refuse(place, show(call), "a call {id, function: {name, arguments}}")
            named = call.get("function") or call.get("custom") or call
            if not isinstance(named, Mapping):
                refuse(f"{place}.function", show(named), "{name, arguments}")
            arguments = next((named[key] for key in ("arguments", "input") if named.get(key) is not None), None)
            found.append(self._call(call.get("id"), named, arguments, place))
        return tuple(found)

    def _call(self, id: object, named: Mapping[str, Any], arguments: object, where: str) -> ToolCall:
        name = named.get("name")
        if not isinstance(name, str) or not name.strip():
            refuse(f"{where}.name", show(name), "the name of the tool")
        self._calls += 1
        self._waiting[self._calls] = None if id is None else str(id), name
        return ToolCall(self._calls, text_of(name, f"{where}.name"), as_json(arguments, f"{where}.arguments"))


def _content(value: object, where: str, *, tool: bool = False) -> tuple[str, tuple[str, ...]]:
    """The text of a turn, its string or its text parts joined by newlines, and its images. A tool may return any JSON."""
    if isinstance(value, str):
        return text_of(value, where), ()
    if isinstance(value, (list, tuple)) and not (tool and not all(_is_part(part) for part in value)):
        texts: list[str] = []
        images: list[str] = []
        for i, part in enumerate(value):
            _part(part, f"{where}[{i}]", texts, images)
        return "\n".join(texts), tuple(images)
    if tool and value is not None:
        return text_of(json.dumps(value, ensure_ascii=False), where), ()
    if value is None:
        refuse(where.removesuffix(".content"), "a message without content", "{role, content}")
    return refuse(where, show(value), "text, or a list of parts {type, text}")


def _is_part(value: object) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("type"), str)


def _part(part: object, where: str, texts: list[str], images: list[str]) -> None:
    if isinstance(part, str):
        texts.append(text_of(part, where))
        return
    if not isinstance(part, Mapping):
        refuse(where, show(part), "a part {type: text, text}")
    kind = part.get("type", "text")
    if kind in TEXT_PARTS and part.get("text") is not None:
        texts.append(text_of(part["text"], f"{where}.text"))
    elif kind == "refusal" and part.get("refusal") is not None:
        texts.append(text_of(part["refusal"], f"{where}.refusal"))
    elif kind in IMAGE_PARTS:
        images.append(image_of(part, where))
    elif kind not in THOUGHTS:
        refuse(where, f"a part of type {kind!r}", "parts of text, or images; audio, video and files are unsupported")
