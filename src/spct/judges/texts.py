"""Items as scalar models read them: the query's turns, then the response as the assistant's.

Tool definitions, calls and results go into the model's own chat template, where it writes all of them (``tool_turns`` of its
capabilities). Elsewhere they are text in lines that end in a tag which no word of the item contains, as the judge's prompt
has them (``templates.shield``); what a tool returned is then the user's, whom every template knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

from spct.classifiers import Conversation
from spct.meta.cases import without_control_tokens
from spct.templates.readers import Scale, make_reader
from spct.templates.shield import Shield
from spct.turns import MARKERS, body, turns_of, words_of, written
from spct.types import Item, Message, Tool, ToolCall, Trajectory

_SHIELD = Shield((), make_reader("text", Scale(1, 10, 0)), MARKERS)
_ROLES = {"developer": "system", "tool": "user"}
"""Chat templates know no developer, and many know no tool."""


def conversation_of(
    item: Item, response: int, special_tokens: Sequence[str], *, tool_turns: bool = False
) -> Conversation:
    """The turns and one response, which cannot close its turn or open another."""
    if tool_turns:
        said = (*item.messages, *turns_of(item.responses[response]))
        return tuple([_cleaned(turn, special_tokens) for turn in said])
    query, responses = texts_of(item, special_tokens)
    return (*query, Message("assistant", responses[response]))


def texts_of(item: Item, special_tokens: Sequence[str]) -> tuple[Conversation, list[str]]:
    """The query's turns and the responses as texts, without anything that the tokenizer would take for a control token."""
    plain = all(turn.is_plain and turn.role != "tool" for turn in item.messages)
    if plain and not any(type(text) is Trajectory for text in item.responses):
        query = [_cleaned(turn, special_tokens) for turn in item.messages]
        return tuple(query), [without_control_tokens(text, special_tokens) for text in item.responses]
    turns = [*item.messages, *[turn for response in item.responses for turn in turns_of(response)]]
    sealed = _SHIELD.seal([word for turn in turns for word in words_of(turn)], 0, special_tokens)
    words, images = iter(sealed.texts), count(1)
    query = _joined([replace(turn, content=body(turn, words, images, sealed.tag)) for turn in item.messages])
    return tuple(query), [_written(response, words, images, sealed.tag) for response in item.responses]


def _written(response: str, words: Iterator[str], images: Iterator[int], tag: str) -> str:
    return written(response.turns, words, images, tag) if isinstance(response, Trajectory) else next(words)


def _joined(turns: Sequence[Message]) -> list[Message]:
    """Turns of texts under the roles that templates know; what tools returned is one turn with what is said next."""
    found: list[Message] = []
    after_tool = False
    for turn in turns:
        role = _ROLES.get(turn.role, turn.role)
        if after_tool and role == "user":
            found[-1] = Message(role, f"{found[-1].content}\n{turn.content}")
        else:
            found.append(Message(role, turn.content))
        after_tool = turn.role == "tool"
    return found


def _cleaned(turn: Message, special_tokens: Sequence[str]) -> Message:
    def clean(text: str) -> str:
        return without_control_tokens(text, special_tokens)

    return replace(
        turn,
        role="system" if turn.role == "developer" else turn.role,
        content=clean(turn.content),
        calls=tuple([ToolCall(call.number, clean(call.name), clean(call.arguments)) for call in turn.calls]),
        name=turn.name and clean(turn.name),
        tools=tuple([Tool(*map(clean, (tool.name, tool.description, tool.parameters))) for tool in turn.tools]),
    )
