r"""Conversations as people and programs write them, read in one place: for rows, the service, adapters and data sets.

A conversation is a text, an HH transcript, or a list of turns (``messages`` has their forms); a response is a text or the
turns of a trajectory.

Every function takes ``where``, the place of the value for people ("items.jsonl, line 3: prompt"), and raises InputError with
it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spct.items.messages import messages_of, turn_row
from spct.items.refusals import refuse, show, text_of
from spct.items.tools import without_tools
from spct.types import Message, Trajectory

MOST_JSON_CHARS = 1_000_000
_JSON_TURNS = re.compile(r"\s*+\[\s*+\{")
HH_START = re.compile(r"\s*Human:")
HH_TURN = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")


def query_of(value: object, where: str) -> tuple[Message, ...]:
    """The query x: one user turn, an HH transcript that ends in ``Assistant:``, or a conversation.

    A text that is the JSON of a conversation, as tables and some data sets keep them, is that conversation.
    """
    if isinstance(value, str):
        if (told := _json_turns(value, where)) is not None:
            return checked_query(messages_of(told, where), where)
        turns = transcript(text_of(value, where))
        if len(turns) > 1 and turns[-1] == Message("assistant", ""):
            return checked_query(turns[:-1], where)
        return checked_query((Message("user", value),), where)
    if not isinstance(value, (list, tuple)):
        refuse(where, show(value), "text or a list of messages {role, content}")
    return checked_query(messages_of(value, where), where)


def checked_query(messages: tuple[Message, ...], where: str) -> tuple[Message, ...]:
    """``messages`` if they end in something to respond to."""
    if not messages:
        refuse(where, "no messages", "at least one, the last of them the user's")
    last = messages[-1]
    if last.role == "assistant":
        refuse(where, "a last message of the assistant", "the query to end with what the assistant answers")
    if last.role != "tool" and not last.images and (not last.content or last.content.isspace()):
        refuse(where, "an empty query", "text in its last turn")
    return messages


def transcript(text: str) -> tuple[Message, ...]:
    r"""The turns of ``\n\nHuman: ...\n\nAssistant: ...``, stripped; () if ``text`` does not start with a Human turn."""
    if HH_START.match(text) is None:
        return ()
    marks = list(HH_TURN.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return tuple(
        Message("user" if mark[1] == "Human" else "assistant", text[mark.end() : end].strip())
        for mark, end in zip(marks, ends, strict=True)
    )


def response_of(value: object, where: str, prompt: Sequence[Message] = ()) -> str:
    """One response: text, one assistant's message, or the turns of a trajectory, with or without ``prompt`` before them."""
    if isinstance(value, Trajectory):
        return value
    if isinstance(value, str):
        return text_of(value, where)
    if isinstance(value, Mapping):
        value = [{"role": "assistant", **value}]
    if not isinstance(value, (list, tuple)):
        refuse(where, show(value), "text, or a list of turns that begins with the assistant's")
    turns = messages_of(value, where)
    if prompt and len(turns) > len(prompt) and without_tools(turns[: len(prompt)]) == without_tools(prompt):
        turns = turns[len(prompt) :]
    elif calls := calls_in(prompt):
        turns = messages_of(value, where, calls)
    return response_from(turns, where)


def listed(value: object, where: str) -> list[Any]:
    """Responses as a program gives them: a list, or anything else that has an order."""
    if isinstance(value, (str, bytes)):
        refuse(where, "one string", "a list with one string per response")
    if isinstance(value, Mapping):
        refuse(where, "a dict", f"a list: list({where}.values()) has its values, in the order of its keys")
    if isinstance(value, (set, frozenset)):
        refuse(where, "a set, which has no order", "a list")
    if not isinstance(value, Iterable):
        refuse(where, show(value), "a list of texts")
    return list(value)


def response_from(turns: Sequence[Message], where: str) -> str:
    """Turns as a response: a text where they are one of the assistant's and nothing else, else a trajectory."""
    if not turns or turns[0].role != "assistant":
        roles = ", ".join(turn.role for turn in turns) or "no message"
        refuse(where, f"turns of {roles}", "the assistant's turn first, after the query")
    if images := [i for i, turn in enumerate(turns) if turn.images and turn.role == "assistant"]:
        refuse(f"{where}[{images[0]}]", "an image in an assistant's turn", "images in turns of the user or of a tool")
    return turns[0].content if len(turns) == 1 and turns[0].is_plain else Trajectory(turns)


def calls_in(turns: Iterable[Message]) -> int:
    """How many tools were called in ``turns``."""
    return sum(len(turn.calls) for turn in turns)


def response_row(response: str, *, kept: bool = False) -> str | list[dict[str, Any]]:
    """A response as ``response_of`` reads it; ``kept`` as in ``turn_row``."""
    return [turn_row(turn, kept=kept) for turn in response.turns] if isinstance(response, Trajectory) else response


def _json_turns(text: str, where: str) -> list[Any] | None:
    """The turns of a text that is nothing but the JSON of some."""
    if _JSON_TURNS.match(text) is None or '"role"' not in text:
        return None
    if len(text) > MOST_JSON_CHARS:  # each of its values becomes an object, however little text it takes
        refuse(
            where,
            f"the JSON of a list, of {len(text):,} characters",
            f"at most {MOST_JSON_CHARS:,}, or the list itself",
        )
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or not found or not all(isinstance(turn, dict) for turn in found):
        return None
    return found if all("role" in turn and {"content", "tool_calls"} & turn.keys() for turn in found) else None
