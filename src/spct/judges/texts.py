"""Items as scalar models read them: the query's turns, then the response as the assistant's."""

from __future__ import annotations

from collections.abc import Sequence

from spct.classifiers import Conversation
from spct.meta.cases import without_control_tokens
from spct.turns import body_alone
from spct.types import Item, Message


def query_turns(item: Item, special_tokens: Sequence[str]) -> Conversation:
    """The turns as texts, without anything that the model's tokenizer would take for a control token.

    Chat templates know no developer: to the model that is the system.
    """
    return tuple(
        Message(
            "system" if turn.role == "developer" else turn.role,
            without_control_tokens(body_alone(turn), special_tokens),
        )
        for turn in item.messages
    )


def conversation_of(item: Item, response: int, special_tokens: Sequence[str]) -> Conversation:
    """The turns and one response, which cannot close its turn or open another."""
    answer = without_control_tokens(str(item.responses[response]), special_tokens)
    return (*query_turns(item, special_tokens), Message("assistant", answer))
