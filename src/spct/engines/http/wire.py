"""The chat-completions format: a SampleRequest as a JSON body, and a reply's JSON as samples. Nothing is sent here.

Failure rule: ``read_reply`` returns at least one sample or raises UnreadableReplyError; it invents nothing.
"""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

import orjson

from spct.engines.engine import Sample, SampleRequest
from spct.engines.http.errors import UnreadableReplyError
from spct.engines.http.grammar import STYLES, Style, fields_of
from spct.types import FinishReason, Message, TokenLogprob, Usage

MOST_TOP_LOGPROBS = 20
SEED_BITS = 0x7FFFFFFF
MOST_TOKENS = 10**9
"""A greater count of one reply is nonsense."""
MOST_LOGPROB = 1e-3

_NATURAL = "stop eos eos_token end_turn stop_sequence stopped completed complete finished finish done end natural"
_CUT_OFF = "length max_tokens max_output_tokens max_completion_tokens token_limit max_length model_length"
_FINISH: Mapping[str, FinishReason] = {
    **dict.fromkeys(_NATURAL.split(), "stop"),
    **dict.fromkeys(_CUT_OFF.split(), "length"),
}
"""How servers call an end of the model's own, and one at the limit of tokens; in lower case."""


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a request, as far as servers differ in it.

    ``left_out`` are parameters that are not sent, ``renamed`` those that are sent under another name, ``added`` fields that
    each request has besides. A ``top_p`` of 1 changes nothing and is sent only where ``sends_top_p``. Temperatures are raised
    to ``lowest_temperature`` and lowered to ``highest_temperature``.
    """

    style: Style = STYLES["none"]
    left_out: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)
    added: Mapping[str, Any] = field(default_factory=dict)
    sends_top_p: bool = False
    lowest_temperature: float = 0.0
    highest_temperature: float | None = None


def payload(model: str, request: SampleRequest, form: Form) -> dict[str, Any]:
    """The body of one request. ``n`` is left out where it is 1."""
    temperature = max(request.temperature, form.lowest_temperature)
    if form.highest_temperature is not None:
        temperature = min(temperature, form.highest_temperature)
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": turn.role, "content": _content(turn)} for turn in request.messages],
        "temperature": temperature,
        "max_tokens": request.max_tokens,
        "seed": request.seed & SEED_BITS,
    }
    if request.top_p != 1 or form.sends_top_p:
        body["top_p"] = request.top_p
    if request.n > 1:
        body["n"] = request.n
    if request.top_logprobs > 0 and "logprobs" not in form.left_out:
        body["logprobs"] = True
        body["top_logprobs"] = min(MOST_TOP_LOGPROBS, request.top_logprobs)
    for name, sent in form.renamed.items():
        if name in body:
            body[sent] = body.pop(name)
    for name in form.left_out:
        body.pop(form.renamed.get(name, name), None)
    return {**body, **fields_of(form.style, request), **form.added}


def _content(turn: Message) -> str | list[dict[str, Any]]:
    """The text of a turn; and behind it its images, each under the number that the text calls it by ("" is one left out)."""
    if not turn.images:
        return turn.content
    parts: list[dict[str, Any]] = [{"type": "text", "text": turn.content}]
    for number, address in enumerate(turn.images, 1):
        if address:
            parts += [
                {"type": "text", "text": f"Image {number}:"},
                {"type": "image_url", "image_url": {"url": address}},
            ]
    return parts


def encode(body: dict[str, Any]) -> bytes:
    """JSON bytes. A lone surrogate, which UTF-8 cannot carry, becomes U+FFFD."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        turns = [{**turn, "content": _all_well_formed(turn["content"])} for turn in body["messages"]]
        return orjson.dumps({**body, "messages": turns})


def _all_well_formed(content: Any) -> Any:
    if isinstance(content, str):
        return _well_formed(content)
    return [{**part, "text": _well_formed(part["text"])} if "text" in part else part for part in content]


def _well_formed(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@dataclass(frozen=True, slots=True)
class Reply:
    """The samples of one reply, at most as many as were asked for, and what they cost.

    ``estimated``: the server counted the tokens of one choice only, and the rest was estimated from its length.
    ``logprobs``: every sample has log-probabilities that line up with its text. ``unknown_ends``: what the server calls the
    ends of which it is not known that the model ended by itself there, nor that the limit of tokens was reached.
    """

    samples: tuple[Sample, ...]
    usage: Usage
    estimated: bool = False
    logprobs: bool = False
    unknown_ends: tuple[str, ...] = ()


def read_reply(raw: bytes, request: SampleRequest, echoed: str = "") -> Reply:
    """Map the body of a reply. Choices beyond ``request.n`` are dropped; ``echoed`` is no part of what was sampled."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        body = _read_loosely(raw)
        if body is None:
            raise UnreadableReplyError(f"is not JSON ({error}): {raw[:400].decode(errors='replace')!r}") from None
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices:
        raise UnreadableReplyError(f"has no choices: {raw[:400].decode(errors='replace')}")
    try:
        if len(choices) > 1:
            choices = sorted(choices, key=_place)[: request.n]
        samples = tuple([_sample(choice, request.seed + j, echoed) for j, choice in enumerate(choices)])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = raw[:400].decode(errors="replace")
        raise UnreadableReplyError(f"has a choice that is no message ({type(error).__name__}): {what}") from None
    reply = _with_usage(samples, body, given=all(sample.logprobs is not None for sample in samples))
    if all(sample.finish_reason != "other" for sample in samples):
        return reply
    ends = {orjson.dumps(choice.get("finish_reason")).decode() for choice in choices}
    return replace(reply, unknown_ends=tuple(sorted(end for end in ends if _finish(orjson.loads(end)) == "other")))


def _read_loosely(raw: bytes) -> Any:
    """JSON with a byte order mark, bytes that are no UTF-8, half characters, NaN or Infinity; None for what is not even that."""
    try:
        body = json.loads(raw.decode("utf-8-sig", "replace"))
        return json.loads(_well_formed(json.dumps(body, ensure_ascii=False)))
    except (ValueError, RecursionError):
        return None


def _place(choice: dict[str, Any]) -> int:
    """Where a choice stands among the others; those that do not say stay in the order of the reply."""
    index = choice.get("index")
    return index if type(index) is int else 0


def _sample(choice: dict[str, Any], seed: int, echoed: str) -> Sample:
    if choice.get("error"):
        raise ValueError("an error in place of a message")
    message = choice["message"]
    content = message.get("content")
    text = (content if isinstance(content, str) else _joined(content)).removeprefix(echoed)
    if not text and isinstance(refusal := message.get("refusal"), str):
        text = refusal
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    logprobs = choice.get("logprobs")
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    tokens = tokens if isinstance(tokens, list) else None
    return Sample(
        text,
        _finish(choice.get("finish_reason")),
        seed,
        reasoning if reasoning and isinstance(reasoning, str) else None,
        len(tokens) if tokens else None,
        _aligned(tokens, text) if tokens else None,
    )


def _finish(told: Any) -> FinishReason:
    """An end by any of its names; "other" for what does not say that the model ended by itself."""
    if not isinstance(told, str):
        return "other"
    return _FINISH.get(told.lower().replace("finishreason.", "").replace("finish_reason_", ""), "other")


def _joined(content: Any) -> str:
    """The text of a content that is null or a list of parts; parts that are no text (thinking) are left out."""
    if content is None:
        return ""
    parts = [content] if isinstance(content, dict) else content
    parts = [{"text": part} if isinstance(part, str) else part for part in parts]
    return "".join(part["text"] or "" for part in parts if part.get("type", "text") in ("text", "output_text"))


def _with_usage(samples: tuple[Sample, ...], body: dict[str, Any], given: bool) -> Reply:
    usage = body.get("usage")
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    prompt, total, cached = (
        token_count(usage, "prompt_tokens"),
        token_count(usage, "completion_tokens"),
        token_count(details, "cached_tokens"),
    )
    estimated = False
    if len(samples) == 1:
        samples = (replace(samples[0], completion_tokens=total or samples[0].completion_tokens),)
    elif given:
        total = max(total, sum(sample.completion_tokens or 0 for sample in samples))
    elif _counts_one_choice(body, total):
        estimated, total = True, _extrapolated(samples, total)
    return Reply(samples, Usage(prompt, total, cached, 1), estimated, given)


def token_count(counts: Any, name: str) -> int:
    """Tokens as a server counts them, 0 for what is no count of tokens: a run adds it up and prices it."""
    value = counts.get(name) if isinstance(counts, dict) else None
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else 0


def _counts_one_choice(body: dict[str, Any], total: int) -> bool:
    """llama.cpp's usage and timings are those of the first choice alone, however many there are."""
    timings = body.get("timings")
    return isinstance(timings, dict) and total > 0 and timings.get("predicted_n") == total


def _extrapolated(samples: Sequence[Sample], first_tokens: int) -> int:
    """Tokens of all samples, from the first one's count and the characters of each."""
    chars = [len(sample.text) + len(sample.reasoning or "") for sample in samples]
    return round(first_tokens * sum(chars) / chars[0]) if chars[0] else first_tokens * len(samples)


def _aligned(tokens: list[Any], text: str) -> tuple[TokenLogprob, ...] | None:
    """The tokens that make up ``text``, in order, cut at its ends; None if they do not, or are no tokens with probabilities.

    Servers also list what is not in the text: a stop token, whitespace that was stripped, the reasoning before it.
    """
    if not all(isinstance(token, dict) and isinstance(token.get("token"), str) for token in tokens):
        return None
    if not all(_is_logprob(token.get("logprob")) for token in tokens):
        return None
    pieces = [token["token"] for token in tokens]
    whole = "".join(pieces)
    if whole != text:
        if text not in whole:
            pieces = _decoded(tokens)
            whole = "".join(pieces)
        if text not in whole:
            return None
    begin = whole.rfind(text)
    end, place, kept = begin + len(text), 0, []
    for token, piece in zip(tokens, pieces, strict=True):
        cut = piece[max(0, begin - place) : max(0, end - place)]
        place += len(piece)
        if cut:
            kept.append(TokenLogprob(cut, token["logprob"], _alternatives(token.get("top_logprobs"))))
    return tuple(kept)


def _alternatives(top: Any) -> tuple[tuple[str, float], ...]:
    """The alternatives of a token that have a probability: a list of tokens, or log-probabilities by token."""
    if isinstance(top, dict):
        top = [{"token": token, "logprob": logprob} for token, logprob in top.items()]
    if not isinstance(top, list):
        return ()
    kept = []
    for other in top:
        token, logprob = (other.get("token"), other.get("logprob")) if isinstance(other, dict) else (None, None)
        if isinstance(token, str) and _is_logprob(logprob):
            kept.append((token, logprob))
    return tuple(kept)


def _is_logprob(value: Any) -> TypeGuard[float]:
    """A log-probability: a finite number, and not above 0 by more than rounding."""
    return type(value) in (float, int) and math.isfinite(value) and value <= MOST_LOGPROB


def _decoded(tokens: list[dict[str, Any]]) -> list[str]:
    """Token texts from their bytes: a character split over tokens belongs to the token that completes it."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return [decoder.decode(_bytes(token)) for token in tokens]


def _bytes(token: dict[str, Any]) -> bytes:
    try:
        return bytes(token.get("bytes") or token["token"].encode())
    except (TypeError, ValueError):
        return str(token["token"]).encode(errors="replace")
