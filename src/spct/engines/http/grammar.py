"""Grammars behind HTTP: every server takes them in a field of its own, and ignores the fields of others without a word.

So an engine that is told a style asks the server once for ``CHECK``, whose grammar leaves one answer: judgments must not
pass for constrained if they are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from spct.engines.engine import SampleRequest
from spct.errors import EngineError
from spct.types import Message

GrammarStyle = Literal["none", "vllm", "llamacpp", "sglang"]

GRAMMAR_FIELDS: Mapping[GrammarStyle, str | None] = {
    "none": None,
    "vllm": "structured_outputs",
    "llamacpp": "grammar",
    "sglang": "ebnf",
}

ONLY_ANSWER = "unicycle"
CHECK = SampleRequest(
    (Message("user", "Name a colour."),), temperature=1.0, max_tokens=32, grammar=f'root ::= "{ONLY_ANSWER}"'
)


def not_followed(server: str, style: GrammarStyle, found: str) -> EngineError:
    """The error for a style that ``server`` does not follow; ``found`` is what it did with the field."""
    others = ", ".join(other for other in GRAMMAR_FIELDS if other not in ("none", style))
    return EngineError(
        f"grammar_style={style}: {server} {found}; name the style of this server ({others}), or leave grammar_style out and "
        "sample without a grammar (--no-grammar)"
    )
