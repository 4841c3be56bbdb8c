"""The row shapes: which keys hold the query and the responses.

To add one: a function from row to ``Shaped`` and a branch in ``shaped``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from spct.items.conversation import checked_query, query_of, response_from, response_of, transcript
from spct.items.messages import messages_of
from spct.items.refusals import refuse, show
from spct.items.tools import tools_of, with_tools
from spct.types import Message

SHAPES = (
    "{prompt | messages | query, responses}, {prompt, chosen, rejected}, {chosen, rejected} as conversations that "
    "share their beginning, or {chosen, rejected} as '\\n\\nHuman: ...\\n\\nAssistant: ...' transcripts"
)
QUERY_KEYS = ("prompt", "messages", "query")
SHAPE_KEYS = frozenset((*QUERY_KEYS, "responses", "chosen", "rejected", "tools"))


@dataclass(frozen=True, slots=True)
class Shaped:
    """What every row has: a query, its responses, and the index of the best if the shape says so."""

    messages: tuple[Message, ...]
    responses: tuple[str, ...]
    best: int | None = None


def shaped(row: Mapping[str, Any], where: str) -> Shaped:
    """Read whichever shape ``row`` has; a key whose value is null counts as absent."""
    read = _shaped(row, where)
    return replace(read, messages=with_tools(read.messages, tools_of(row.get("tools"), f"{where}: tools")))


def _shaped(row: Mapping[str, Any], where: str) -> Shaped:
    responses, chosen, rejected = row.get("responses"), row.get("chosen"), row.get("rejected")
    if chosen is not None and rejected is not None:
        if responses is not None:
            refuse(where, "a row with responses and with chosen, rejected", "one of the two; leave the other out")
        return _preference(row, chosen, rejected, where)
    if responses is None:
        have = ", ".join(map(str, row)) or "no keys"
        refuse(where, f"a row with {have}", f"one of the shapes {SHAPES}")
    query = _query(row, where)
    return Shaped(query, _responses(responses, where, query))


def _query(row: Mapping[str, Any], where: str) -> tuple[Message, ...]:
    given = [key for key in QUERY_KEYS if row.get(key) is not None]
    if not given:
        refuse(where, f"a row with {', '.join(map(str, row))} and no query", f"one of {', '.join(QUERY_KEYS)}")
    if len(given) > 1:
        refuse(where, f"a row with {' and '.join(given)}", "one of them; leave the others out")
    return query_of(row[given[0]], f"{where}: {given[0]}")


def _responses(value: object, where: str, query: tuple[Message, ...]) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        refuse(f"{where}: responses", show(value), "a list of texts")
    if not value:
        refuse(f"{where}: responses", "an empty list", "at least one response")
    return tuple(
        text if type(text) is str and text.isascii() else response_of(text, f"{where}: responses[{i}]", query)
        for i, text in enumerate(value)
    )


def _preference(row: Mapping[str, Any], chosen: object, rejected: object, where: str) -> Shaped:
    """A TRL preference row. Beside ``prompt``, a key ``messages`` repeats the chosen conversation and is not read."""
    key = next((key for key in ("prompt", "query", "messages") if row.get(key) is not None), None)
    if key is not None:
        prompt = query_of(row[key], f"{where}: {key}")
        pair = (response_of(chosen, f"{where}: chosen", prompt), response_of(rejected, f"{where}: rejected", prompt))
        return Shaped(prompt, pair, best=0)
    if isinstance(chosen, str) and isinstance(rejected, str):
        return _transcripts(chosen, rejected, where)
    if isinstance(chosen, (list, tuple)) and isinstance(rejected, (list, tuple)):
        return _conversations(
            messages_of(chosen, f"{where}: chosen"), messages_of(rejected, f"{where}: rejected"), where
        )
    return refuse(
        where, f"chosen as {show(chosen)}, rejected as {show(rejected)}, no prompt", f"one of the shapes {SHAPES}"
    )


def _conversations(chosen: tuple[Message, ...], rejected: tuple[Message, ...], where: str) -> Shaped:
    """Conversations that begin alike: the query ends with the last turn both share that the assistant answers."""
    shared = _shared(chosen, rejected)
    while shared and (
        chosen[shared - 1].role == "assistant" or {chosen[shared].role, rejected[shared].role} != {"assistant"}
    ):
        shared -= 1
    if not shared:
        refuse(
            where,
            f"conversations of {len(chosen)} and {len(rejected)} messages that share no turn to which both respond",
            "chosen and rejected to begin with the same query and to go on with the assistant's turn",
        )
    query = checked_query(chosen[:shared], f"{where}: chosen")
    first, second = (
        response_from(turns[shared:], f"{where}: {name}")
        for turns, name in ((chosen, "chosen"), (rejected, "rejected"))
    )
    return Shaped(query, (first, second), best=0)


def _transcripts(chosen: str, rejected: str, where: str) -> Shaped:
    """HH rows. In a few real ones a response runs on into turns of its own: then they all belong to the response."""
    turns = transcript(chosen), transcript(rejected)
    if not turns[0] or not turns[1]:
        refuse(where, "chosen and rejected as text without a prompt", f"one of the shapes {SHAPES}")
    shared = _shared(*turns)
    if any(own[shared].role != "assistant" for own in turns):
        refuse(where, f"transcripts that part at turn {shared + 1}, not the assistant's", "one shared query")
    return Shaped(
        checked_query(turns[0][:shared], f"{where}: chosen"), (_rest(turns[0], shared), _rest(turns[1], shared)), best=0
    )


def _shared(left: tuple[Message, ...], right: tuple[Message, ...]) -> int:
    """How many messages both begin with, leaving at least the last of each."""
    limit = min(len(left), len(right)) - 1
    return next((i for i in range(limit) if left[i] != right[i]), max(limit, 0))


def _rest(turns: tuple[Message, ...], start: int) -> str:
    names = {"user": "Human", "assistant": "Assistant"}
    later = [f"{names[turn.role]}: {turn.content}" for turn in turns[start + 1 :]]
    return "\n\n".join([turns[start].content, *later])
