"""What trainers hand over as prompts and completions -> a query and a response.

Plain prompts are texts. Conversational ones are lists of turns, a completion the turns that the policy added: one turn, or a
trajectory with tool calls and their results (``items.conversation``). Failure rule: what cannot be read raises InputError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from spct.errors import InputError
from spct.items import conversation
from spct.items.item import said
from spct.items.tools import tools_of, with_tools
from spct.items.values import plain
from spct.types import Message

Query = str | tuple[Message, ...]


def query_of(prompt: object, tools: object = None) -> Query:
    """A prompt of a trainer, a text or turns, with the tools that its assistant was given."""
    prompt, given = plain(prompt), tools_of(plain(tools), "tools")
    turns = with_tools(conversation.query_of(prompt, "prompt"), given)
    return prompt if isinstance(prompt, str) and not given else turns


def response_of(completion: object) -> str:
    """A completion of a trainer: a text, or the turns that the policy wrote and what its tools returned."""
    return conversation.response_of(plain(completion), "completion")


def grouped(keys: Iterable[object], at_most: int | None = None) -> list[list[int]]:
    """The places of equal keys, together and in order of first appearance; at most ``at_most`` to a group.

    >>> grouped(["a", "a", "b", "a", "b"], at_most=2)
    [[0, 1], [2, 4], [3]]
    """
    groups: list[list[int]] = []
    open_groups: dict[object, list[int]] = {}
    for place, key in enumerate(keys):
        group = open_groups.get(key)
        if group is None or len(group) == at_most:
            group = open_groups[key] = []
            groups.append(group)
        group.append(place)
    return groups


def key_of(*parts: Any) -> bytes:
    """What two rollouts of one group have in common, as something that can be compared and hashed."""
    return orjson.dumps([_plain(part) for part in parts])


def column_of(columns: Mapping[str, Any], name: str | None, n: int) -> Sequence[Any]:
    """The n values of a column of the batch, or n times None without a name. Raises InputError."""
    if name is None:
        return [None] * n
    values = columns.get(name)
    if values is None or isinstance(values, str) or len(values) != n:
        named = sorted(key for key, value in columns.items() if isinstance(value, list))
        raise InputError(f"the batch has no column {name!r} with {n} values; it has {', '.join(named) or 'none'}")
    return list(values)


def _plain(part: Any) -> Any:
    return [said(turn) for turn in part] if isinstance(part, tuple) else part
