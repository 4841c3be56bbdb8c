"""Reward models that answer in attributes: the form of Nemotron-4-340B-Reward and its successors.

A chat endpoint is sent the conversation and the response as the assistant's turn. It answers with attribute scores in
place of a text, ``helpfulness:1.6171875,correctness:1.6484375,...``, or with an empty text and one entry per attribute
in ``logprobs.content`` (token the name, logprob the score). The score is a stated weighting of them. Parsing is strict:
whatever is not exactly such a list, or lacks an attribute that has a weight, is no score.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Any

import orjson

from spct.classifiers.classifier import Conversation, Score
from spct.classifiers.http_model import as_turns
from spct.classifiers.http_scorer import HTTPScorer
from spct.engines.http.errors import UnreadableReplyError
from spct.errors import InputError

HELPFULNESS = {"helpfulness": 1.0}
_ENTRY = re.compile(r"\s*([A-Za-z][\w -]*?)\s*:\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*", re.ASCII)
_SHOWN_CHARS = 120


class AttributeModel(HTTPScorer):
    """The model ``name`` of the chat endpoint at ``base_url``.

    ``weights`` maps attributes to their weight in the score.
    """

    kind = "attributes"
    path = ("chat", "completions")
    service = "chat completions"

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        weights: Mapping[str, float] | None = None,
        concurrency: int = 64,
        timeout_s: float = 300.0,
        attempts: int = 6,
        backoff_s: float = 0.1,
        special_tokens: Sequence[str] = (),
    ) -> None:
        super().__init__(name, base_url, api_key, concurrency, timeout_s, attempts, backoff_s, special_tokens)
        self._weights = _check_weights(HELPFULNESS if weights is None else weights)

    @property
    def protocol(self) -> Mapping[str, Any]:
        return {f"weight.{name}": weight for name, weight in self._weights.items()}

    async def _score(self, conversation: Conversation) -> Score:
        found = await self._post({"messages": as_turns(conversation)}, read_attributes)
        problem = found.problem
        if problem is None and (lacking := [name for name in self._weights if name not in found.values]):
            problem = f"no {', '.join(lacking)} among {', '.join(found.values)}"
        if problem is not None:
            return Score(None, problem, found.text, found.prompt_tokens)
        total = fsum(weight * found.values[name] for name, weight in self._weights.items())
        return Score(total, text=found.text, prompt_tokens=found.prompt_tokens)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What one reply says: values by attribute, or the problem.

    ``text`` is the reply's own, made from its entries if empty.
    """

    text: str
    values: Mapping[str, float] = field(default_factory=dict)
    problem: str | None = None
    prompt_tokens: int = 0


def read_attributes(raw: bytes) -> Attributes:
    """Read a chat completion. Raises UnreadableReplyError for a reply that is none; any text in it is data."""
    shown = raw[:400].decode(errors="replace")
    try:
        body: Any = orjson.loads(raw)
        choice = body["choices"][0]
        message = choice["message"]
        message = message[0] if isinstance(message, list) else message  # as some of these endpoints send it
        content = message.get("content") or ""
        tokens = (body.get("usage") or {}).get("prompt_tokens")
        listed = (choice.get("logprobs") or {}).get("content") or ()
        entries = [(str(entry["token"]), entry["logprob"]) for entry in listed]
    except orjson.JSONDecodeError as error:
        raise UnreadableReplyError(f"is not JSON ({error}): {shown!r}") from None
    except (KeyError, IndexError, TypeError, AttributeError):
        raise UnreadableReplyError(f"has no choice with a message: {shown}") from None
    if not isinstance(content, str):
        raise UnreadableReplyError(f"has a message whose content is no text: {shown}")
    text = content if content.strip() or not entries else ",".join(f"{name}:{value}" for name, value in entries)
    values, problem = parse_attributes(text)
    return Attributes(text, values, problem, tokens if isinstance(tokens, int) else 0)


def parse_attributes(text: str) -> tuple[dict[str, float], str | None]:
    """``name:number`` pairs parted by commas and nothing else; or the reason why the text is not that."""
    shown = repr(text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "...")
    values: dict[str, float] = {}
    for part in text.split(","):
        entry = _ENTRY.fullmatch(part)
        if entry is None or not math.isfinite(value := float(entry[2])):
            return {}, f"the reply {shown} is no list of attributes; expected name:number,name:number,..."
        if entry[1] in values:
            return {}, f"the reply {shown} names {entry[1]} twice"
        values[entry[1]] = value
    return values, None


def _check_weights(weights: Mapping[str, float]) -> dict[str, float]:
    if not isinstance(weights, Mapping) or not weights:
        raise InputError(f"weights {weights!r}: expected attributes and their weights, as {{helpfulness: 1.0}}")
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not math.isfinite(weight):
            raise InputError(f"weights: {name} is {weight!r}; expected a finite number")
    return {str(name): float(weight) for name, weight in weights.items()}
