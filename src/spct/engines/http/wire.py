"""The chat-completions format: a SampleRequest as a JSON body, and a reply's JSON as samples. Nothing is sent here.

Failure rule: ``read_reply`` returns at least one sample or raises UnreadableReplyError; it invents nothing.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from spct.engines.engine import Sample, SampleRequest
from spct.engines.http.errors import UnreadableReplyError
from spct.engines.http.grammar import GRAMMAR_FIELDS, GrammarStyle
from spct.types import FinishReason, Message, TokenLogprob, Usage

MOST_TOP_LOGPROBS = 20
SEED_BITS = 0x7FFFFFFF
MOST_TOKENS = 10**9
"""A greater count of one reply is nonsense."""

_FINISH: Mapping[Any, FinishReason] = {"stop": "stop", "length": "length", "eos": "stop", "max_tokens": "length"}


def payload(model: str, request: SampleRequest, grammar: GrammarStyle, dropped: Collection[str]) -> dict[str, Any]:
    """The body of one request. ``dropped`` names what this server does not take; ``n`` is left out where it is 1."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": turn.role, "content": _content(turn)} for turn in request.messages],
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": request.max_tokens,
        "seed": request.seed & SEED_BITS,
    }
    if request.n > 1:
        body["n"] = request.n
    if request.top_logprobs > 0:
        body["logprobs"] = True
        body["top_logprobs"] = min(MOST_TOP_LOGPROBS, request.top_logprobs)
    if request.grammar is not None and (field := GRAMMAR_FIELDS[grammar]):
        body[field] = {"grammar": request.grammar} if grammar == "vllm" else request.grammar
    if dropped:
        if "max_tokens" in dropped:
            body["max_completion_tokens"] = body["max_tokens"]
        if "logprobs" in dropped:
            body.pop("top_logprobs", None)
        for name in dropped:
            body.pop(name, None)
    return body


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
    ``logprobs``: every sample has log-probabilities that line up with its text.
    """

    samples: tuple[Sample, ...]
    usage: Usage
    estimated: bool = False
    logprobs: bool = False


def read_reply(raw: bytes, request: SampleRequest) -> Reply:
    """Map the body of a reply. Choices beyond ``request.n`` are dropped."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise UnreadableReplyError(f"is not JSON ({error}): {raw[:400].decode(errors='replace')!r}") from None
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices:
        raise UnreadableReplyError(f"has no choices: {raw[:400].decode(errors='replace')}")
    try:
        if len(choices) > 1:
            choices = sorted(choices, key=lambda choice: choice.get("index", 0))[: request.n]
        samples = tuple([_sample(choice, request.seed + j) for j, choice in enumerate(choices)])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = raw[:400].decode(errors="replace")
        raise UnreadableReplyError(f"has a choice that is no message ({type(error).__name__}): {what}") from None
    return _with_usage(samples, body, given=all(sample.logprobs is not None for sample in samples))


def _sample(choice: dict[str, Any], seed: int) -> Sample:
    message = choice["message"]
    content = message.get("content")
    text = content if isinstance(content, str) else _joined(content)
    if not text and isinstance(refusal := message.get("refusal"), str):
        text = refusal
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    logprobs = choice.get("logprobs")
    tokens = logprobs.get("content") if logprobs else None
    return Sample(
        text,
        _FINISH.get(choice.get("finish_reason"), "other"),
        seed,
        reasoning if reasoning and isinstance(reasoning, str) else None,
        len(tokens) if tokens else None,
        _aligned(tokens, text) if tokens else None,
    )


def _joined(content: Any) -> str:
    """The text of a content that is null or a list of parts; parts that are no text (thinking) are left out."""
    if content is None:
        return ""
    return "".join(part["text"] for part in content if part.get("type", "text") in ("text", "output_text"))


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


def _aligned(tokens: list[dict[str, Any]], text: str) -> tuple[TokenLogprob, ...] | None:
    """The tokens that make up ``text``, in order, cut at its ends; None if they do not contain it.

    Servers also list what is not in the text: a stop token, whitespace that was stripped, the reasoning before it.
    """
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
            top = tuple([(other["token"], other["logprob"]) for other in token.get("top_logprobs") or ()])
            kept.append(TokenLogprob(cut, token["logprob"], top))
    return tuple(kept)


def _decoded(tokens: list[dict[str, Any]]) -> list[str]:
    """Token texts from their bytes: a character split over tokens belongs to the token that completes it."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return [decoder.decode(bytes(token.get("bytes") or token["token"].encode())) for token in tokens]
