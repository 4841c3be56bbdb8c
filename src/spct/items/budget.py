"""A trajectory, and a list of tools, cut down to a budget of characters where one was declared, and never without a trace.

The longest texts give way first: there is one length such that texts beyond it are cut down to it and the sum keeps the
budget, so a long listing that a tool returned is cut before anything is lost of what the assistant said in a line. Of a
text that is cut the beginning and the end stay, with a line between them that says how much is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spct.turns import Shortened
from spct.types import Item, Message, Tool, Trajectory

LEAST_CHARS = 200
"""Less would leave nothing to judge."""


def within_budget(item: Item, chars: int | None) -> Item:
    """The item with each of its trajectories, and the tools of each turn of its query, cut down to ``chars`` characters of
    text; itself where none is longer.
    """
    if chars is None:
        return item
    messages = tuple([_with_tools_cut(turn, chars) for turn in item.messages])
    responses = tuple([_cut(text, chars) if isinstance(text, Trajectory) else text for text in item.responses])
    same = messages == item.messages and responses == item.responses
    return item if same else replace(item, messages=messages, responses=responses)


def _with_tools_cut(turn: Message, chars: int) -> Message:
    longest = _longest([len(text) for tool in turn.tools for text in (tool.description, tool.parameters)], chars)
    return replace(turn, tools=tuple([_shorter_tool(tool, longest) for tool in turn.tools])) if turn.tools else turn


def _cut(trajectory: Trajectory, chars: int) -> Trajectory:
    texts = [text for turn in trajectory.turns for text in (turn.content, *[call.arguments for call in turn.calls])]
    longest = _longest([len(text) for text in texts], chars)
    if all(len(text) <= longest for text in texts):
        return trajectory
    return Trajectory([_shorter(turn, longest) for turn in trajectory.turns])


def _longest(lengths: Sequence[int], chars: int) -> int:
    """The greatest length such that the sum of all, none counted for more than it, is at most ``chars``."""
    left, most = chars, 0
    for place, length in enumerate(sorted(lengths)):
        most = left // (len(lengths) - place)
        if length > most:
            return most
        left -= length
    return max(lengths, default=0)


def _shorter(turn: Message, longest: int) -> Message:
    calls = tuple([replace(call, arguments=_middle_out(call.arguments, longest)) for call in turn.calls])
    return replace(turn, content=_middle_out(turn.content, longest), calls=calls)


def _shorter_tool(tool: Tool, longest: int) -> Tool:
    return Tool(tool.name, _middle_out(tool.description, longest), _middle_out(tool.parameters, longest))


def _middle_out(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    head, tail = longest - longest // 2, longest // 2
    return Shortened(text[:head], text[len(text) - tail :], len(text) - longest)
