"""A model's chat template, rendered as transformers renders it: Jinja2 in a sandbox, with the same names and options.

Used where the inference library's own renderer is not Jinja2. A template that fails is a RequestError: it concerns
the messages at hand (a role it does not know, turns that do not alternate).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError as JinjaError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from spct.errors import EngineError, RequestError
from spct.types import Message


class ChatText:
    """Renders messages to the prompt text, up to where the assistant speaks, or goes on speaking where its turn is begun.

    ``tokens``: its bos and eos token.
    """

    def __init__(self, template: str, tokens: Mapping[str, str]) -> None:
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        try:
            self._template = environment.from_string(template)
        except JinjaError as error:
            raise EngineError(f"the model's chat template cannot be read: {error}") from error
        self._tokens = dict(tokens)

    def render(self, messages: tuple[Message, ...]) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        begun = messages[-1].content if messages[-1].role == "assistant" else ""
        try:
            text = self._template.render(messages=turns, add_generation_prompt=not begun, **self._tokens)
        except JinjaError as error:
            roles = ", ".join(message.role for message in messages)
            raise RequestError(f"the model's chat template refuses messages of roles {roles}: {error}") from error
        if begun and begun not in text:
            raise RequestError(
                "the model's chat template alters the assistant's turn, so it cannot be begun for the model"
            )
        return text[: text.rindex(begun) + len(begun)] if begun else text


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def _refuse(message: str) -> NoReturn:
    raise JinjaError(message)
