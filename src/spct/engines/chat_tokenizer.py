"""A Hugging Face tokenizer as engines need it that sample tokens: chat to ids, ids to text piece by piece.

Safe to call from several threads: a tokenizer of that library is not, so each call holds a lock.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

import jinja2

from spct.engines.engine import Sample
from spct.errors import EngineError, RejectedError
from spct.items.tools import tool_row
from spct.types import FinishReason, Message, TokenLogprob, Tool, ToolCall

Chosen = tuple[float, Sequence[tuple[int, float]]]
"""The log-probability of a token, and those of the likeliest tokens in its place."""


_TRIED = (
    Message("user", "zqask", tools=(Tool("zqtool", "zqtells", '{"type": "object", "properties": {}}'),)),
    Message("assistant", "zqsaid", (ToolCall(1, "zqtool", '{"a": "zqone"}'), ToolCall(2, "zqtool", '{"a": "zqtwo"}'))),
    Message("tool", "zqfirst", answers=1),
    Message("tool", "zqsecond", answers=2),
    Message("assistant", "zqend"),
)
_IN_ORDER = ("zqask", "zqsaid", "zqone", "zqtwo", "zqfirst", "zqsecond", "zqend")


class ChatTokenizer:
    """Raises EngineError on construction if the tokenizer has no chat template."""

    def __init__(self, tokenizer: Any, name: str) -> None:
        self._tokenizer = tokenizer
        self._name = name
        self._lock = threading.Lock()
        if not tokenizer.chat_template:
            raise EngineError(
                f"the model {name} has no chat template, so it is no chat model; expected an instruction-tuned model, "
                "or one with a chat_template.jinja beside its tokenizer"
            )

    @property
    def eos(self) -> frozenset[int]:
        return frozenset(() if self._tokenizer.eos_token_id is None else (self._tokenizer.eos_token_id,))

    def control_tokens(self) -> tuple[str, ...]:
        """Strings that become control tokens: those marked special, and added ones that the chat template writes."""
        template = str(self._tokenizer.chat_template)
        added = self._tokenizer.added_tokens_decoder.values()
        written = [token.content for token in added if token.special or _is_mark(token.content, template)]
        return tuple(dict.fromkeys([*self._tokenizer.all_special_tokens, *written]))

    def takes_tools(self) -> bool:
        """Whether the chat template writes tools, calls and results, and loses nothing: some drop what was said beside a call."""
        rows, tools = chat_rows(_TRIED), tools_in(_TRIED)
        try:
            with self._lock:
                text = str(self._tokenizer.apply_chat_template(rows, tools=tools, tokenize=False))
        except (jinja2.TemplateError, TypeError, ValueError, KeyError):
            return False
        places = [text.find(word) for word in _IN_ORDER]
        return places == sorted(places) and places[0] >= 0 and "zqtells" in text and text.count("zqtool") > 2

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """The ids of the rendered prompt, up to where the assistant speaks, or goes on speaking. Raises RejectedError."""
        return [int(token) for token in self._rendered(messages, tokenize=True)]

    def text(self, messages: Sequence[Message]) -> str:
        """The rendered prompt itself. Raises RejectedError."""
        return str(self._rendered(messages, tokenize=False))

    def _rendered(self, messages: Sequence[Message], *, tokenize: bool) -> Any:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        begun = messages[-1].role == "assistant"
        options = {"continue_final_message": begun, "add_generation_prompt": not begun, "return_dict": False}
        try:
            with self._lock:
                return self._tokenizer.apply_chat_template(turns, tokenize=tokenize, **options)
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            roles = ", ".join(message.role for message in messages)
            raise RejectedError(f"the chat template of {self._name} refuses messages of {roles}: {error}") from error

    def decode(self, tokens: Sequence[int]) -> str:
        with self._lock:
            text = self._tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)

    def sample(
        self, seed: int, finish: FinishReason, tokens: Sequence[int], logprobs: Sequence[Chosen] | None = None
    ) -> Sample:
        """The sample that ``tokens`` are, with log-probabilities where they are given, one of each token."""
        if logprobs is None:
            return Sample(self.decode(tokens), finish, seed, completion_tokens=len(tokens))
        pieces = self.pieces(tokens, [[token for token, _ in top] for _, top in logprobs])
        named = tuple(
            TokenLogprob(text, logprob, tuple(zip(others, (value for _, value in top), strict=True)))
            for (text, others), (logprob, top) in zip(pieces, logprobs, strict=True)
        )
        text = "".join(text for text, _ in pieces)
        return Sample(text, finish, seed, completion_tokens=len(tokens), logprobs=named)

    def pieces(self, tokens: Sequence[int], alternatives: Sequence[Sequence[int]]) -> list[tuple[str, list[str]]]:
        """Per token its text and, in its place, that of each of its ``alternatives``.

        The texts joined are the text of all tokens. A character spread over several tokens belongs to the last of
        them; those before it have the text "". What a token looks like depends on its neighbour (leading spaces), so
        each is decoded after the one before it.
        """
        out = []
        start = read = 0  # tokens[start:read] is the context that was written out last
        for i in range(len(tokens)):
            before = self.decode(tokens[start:read])
            head = tokens[start:i]
            others = [self.decode([*head, other])[len(before) :] for other in alternatives[i]]
            text = self.decode(tokens[start : i + 1])
            unfinished = text.endswith("\ufffd") and i + 1 < len(tokens)
            out.append(("" if unfinished else text[len(before) :], others))
            if not unfinished:
                start, read = read, i + 1
        return out


def chat_rows(turns: Sequence[Message]) -> list[dict[str, Any]]:
    """Turns as transformers' chat templates take them: arguments are objects, wherever they are JSON of one."""
    return [_chat_row(turn) for turn in turns]


def tools_in(turns: Sequence[Message]) -> list[dict[str, Any]] | None:
    """The tools of a conversation as chat templates take them, None where there are none."""
    rows = [tool_row(tool) for turn in turns for tool in turn.tools]
    for row in rows:
        row["function"]["parameters"] = _object_of(row["function"].get("parameters", "{}"))
    return rows or None


def _chat_row(turn: Message) -> dict[str, Any]:
    row: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.calls:
        row["tool_calls"] = [
            {
                "id": _id(call.number),
                "type": "function",
                "function": {"name": call.name, "arguments": _object_of(call.arguments)},
            }
            for call in turn.calls
        ]
    if turn.answers is not None:
        row["tool_call_id"] = _id(turn.answers)
    if turn.name is not None:
        row["name"] = turn.name
    return row


def _id(number: int) -> str:
    """Nine letters and digits, which some templates insist on."""
    return f"call{number:05d}"


def _object_of(text: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, dict) else text


def _is_mark(token: str, template: str) -> bool:
    return token in template and not token.isspace() and not token.isalnum()
