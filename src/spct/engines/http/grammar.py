"""Grammars and JSON schemas behind HTTP: every server takes them in a field of its own, and ignores others' without a word.

So a server is asked once, with ``CHECK`` or ``CHECK_JSON``, for an answer that leaves the model one choice: judgments must
not pass for constrained if they are not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import orjson

from spct.engines.engine import Sample, SampleRequest
from spct.types import Message

GrammarStyle = Literal["auto", "none", "vllm", "llamacpp", "sglang", "response_format"]


@dataclass(frozen=True, slots=True)
class Style:
    """The fields of a request that a kind of server takes a GBNF grammar and a JSON schema in; None where it takes none."""

    grammar: str | None = None
    json_schema: str | None = None


STYLES: Mapping[GrammarStyle, Style] = {
    "none": Style(),
    "vllm": Style("structured_outputs", "structured_outputs"),
    "llamacpp": Style("grammar", "json_schema"),
    "sglang": Style("ebnf", "response_format"),
    "response_format": Style(None, "response_format"),
}

ONLY_ANSWER = "unicycle"
_ONLY_SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": [ONLY_ANSWER]}},
    "required": ["colour"],
    "additionalProperties": False,
}
_QUESTION = (Message("user", "Name a colour. Answer with a JSON object."),)
CHECK = SampleRequest(
    (Message("user", "Name a colour."),), temperature=1.0, max_tokens=32, grammar=f'root ::= "{ONLY_ANSWER}"'
)
CHECK_JSON = SampleRequest(_QUESTION, temperature=1.0, max_tokens=48, json_schema=json.dumps(_ONLY_SCHEMA))


def fields_of(style: Style, request: SampleRequest) -> dict[str, Any]:
    """What constrains the answer: the grammar where there is one and the server takes it, else the schema."""
    if request.grammar is not None and style.grammar:
        inner = style.grammar == "structured_outputs"
        return {style.grammar: {"grammar": request.grammar} if inner else request.grammar}
    if request.json_schema is not None and style.json_schema:
        schema = _schema(request.json_schema)
        match style.json_schema:
            case "structured_outputs":
                return {style.json_schema: {"json": schema}}
            case "response_format":
                named = {"name": "answer", "schema": schema, "strict": True}
                return {style.json_schema: {"type": "json_schema", "json_schema": named}}
            case field:
                return {field: schema}
    return {}


@lru_cache(maxsize=256)
def _schema(text: str) -> Any:
    return orjson.loads(text)


def is_followed(check: SampleRequest, sample: Sample) -> bool | None:
    """Whether the answer to a check is the only one that it allows; None if there is none yet, since the model reasons first."""
    text = sample.text.strip()
    if not text and (sample.reasoning or sample.finish_reason == "length"):
        return None
    if check.json_schema is None:
        return text == ONLY_ANSWER
    try:
        return bool(orjson.loads(text) == {"colour": ONLY_ANSWER})
    except orjson.JSONDecodeError:
        return False
