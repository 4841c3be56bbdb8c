"""Conversations as the tokens to train on: exactly those that the model sees and gives when it judges.

The prompt's tokens are what the chat template renders up to where the assistant speaks; the completion is tokenised on its
own, as sampling continues after the prompt's last token; then comes what ends the assistant's turn, up to the first token
that stops sampling. So training shows no token in a place where judging does not have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from spct.engines.chat_tokenizer import ChatTokenizer
from spct.errors import EngineError, TrainingError
from spct.types import Message

IGNORED = -100
"""The label of a token that the loss leaves out."""

_PROBE = "Thirty-three white horses."


@dataclass(frozen=True, slots=True)
class Example:
    """Tokens of one training example (T), prompt first; the loss is over those after ``prompt_tokens``."""

    input_ids: list[int]
    prompt_tokens: int

    @property
    def labels(self) -> list[int]:
        """T labels: the token itself where the loss counts, else IGNORED."""
        return [IGNORED] * self.prompt_tokens + self.input_ids[self.prompt_tokens :]


class ChatEncoder:
    """Encodes for one tokenizer. Raises TrainingError on construction if it has no chat template, or no end of a turn."""

    def __init__(self, tokenizer: Any, name: str) -> None:
        self.tokenizer = tokenizer
        self.name = name
        try:
            self._chat = ChatTokenizer(tokenizer, name)
        except EngineError as error:
            raise TrainingError(str(error)) from error
        self.control_tokens = self._chat.control_tokens()
        self.takes_tools = self._chat.takes_tools()
        self.end_ids = self._end()

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Tokens up to where the assistant speaks. Raises RejectedError where the chat template refuses the roles."""
        return self._chat.encode(messages)

    def prompt_text(self, messages: Sequence[Message]) -> str:
        """The same as text, special tokens included. Raises RejectedError."""
        return self._chat.text(messages)

    @property
    def ends(self) -> tuple[str, ...]:
        """The special tokens that end a turn, as text: the end of text, and what ends the assistant's turn."""
        special = set(self.tokenizer.all_special_ids)
        ids = [self.tokenizer.eos_token_id, *(token for token in self.end_ids if token in special)]
        return tuple(dict.fromkeys(str(self.tokenizer.decode([token])) for token in ids))

    def example(self, messages: Sequence[Message], completion: str) -> Example:
        """The prompt, the completion, and what ends the turn. Raises RejectedError."""
        prompt = self.prompt(messages)
        return Example([*prompt, *self._ids(completion), *self.end_ids], len(prompt))

    def smuggled(self, text: str) -> str | None:
        """The first control token that ``text`` would turn into, or None: in training data it is an attack or an accident."""
        return next((token for token in self.control_tokens if token.strip() and token in text), None)

    def _ids(self, text: str) -> list[int]:
        return [int(token) for token in self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def _end(self) -> list[int]:
        """What the template writes after an assistant's words, up to the token that stops sampling."""
        turns = [{"role": "user", "content": _PROBE}, {"role": "assistant", "content": _PROBE}]
        try:
            text = self.tokenizer.apply_chat_template(turns, tokenize=False)
        except (jinja2.TemplateError, TypeError) as error:
            raise TrainingError(f"the chat template of {self.name} refuses a user and an assistant: {error}") from error
        if text.count(_PROBE) != 2:
            raise TrainingError(f"the chat template of {self.name} does not write every turn; train with another one")
        tail = self._ids(text[text.rindex(_PROBE) + len(_PROBE) :])
        eos = self.tokenizer.eos_token_id
        if eos is None:
            raise TrainingError(f"the tokenizer of {self.name} has no end-of-text token; a model cannot learn to stop")
        return tail[: tail.index(eos) + 1] if eos in tail else [*tail, int(eos)]
