"""What the body of an error says: its words, its code, how long to wait, and what the server does not take.

Servers word the same fault in many ways, so every pattern here stands for a kind of fault and not for one server's sentence.
Failure rule: reading never raises; what is not understood is text without a meaning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

OWN_WORDS_CHARS = 400
MOST_NUMBER_CHARS = 20


@dataclass(frozen=True, slots=True)
class Told:
    """An error body, whichever of the usual shapes it had: text, codes, and the parameter it is about."""

    message: str
    code: str = ""
    parameter: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> str:
        return f"{self.code} {self.message}"


def read_error(raw: bytes) -> Told:
    """Read OpenAI's ``{"error": {...}}``, FastAPI's ``{"detail": ...}``, a choice's error, a flat object, or plain text."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return Told(raw[:4096].decode(errors="replace"))
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict) and isinstance(detail := body.get("detail"), list) and detail:
        return _read_validation(detail)
    if isinstance(body, dict):
        body = body.get("error") or body.get("detail") or _error_of_choice(body) or body
    if not isinstance(body, dict):
        return Told(str(body))
    message = body.get("message") or body.get("msg") or orjson.dumps(body).decode()
    parameter = body.get("param")
    codes = " ".join(str(body.get(name)) for name in ("code", "type", "status") if body.get(name) is not None)
    return Told(str(message), codes, parameter if isinstance(parameter, str) else None, body)


def _read_validation(detail: list[Any]) -> Told:
    """FastAPI's list of ``{"loc": ["body", NAME], "msg", "type"}``: the first is told."""
    first = detail[0] if isinstance(detail[0], dict) else {"msg": str(detail[0])}
    place = first.get("loc")
    names: list[Any] = place if isinstance(place, list) else []
    parameter = next((part for part in reversed(names) if isinstance(part, str) and part != "body"), None)
    return Told(
        f"{parameter}: {first.get('msg')}" if parameter else str(first.get("msg")), str(first.get("type")), parameter
    )


def _error_of_choice(body: dict[str, Any]) -> Any:
    """What a gateway puts into the only choice where the server behind it failed."""
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first.get("error") if isinstance(first, dict) else None


def status_within(told: Told) -> int | None:
    """The HTTP status that an error means which came in a reply of status 200; None where it does not say."""
    for name in ("code", "status", "statusCode", "status_code", "http_status_code"):
        value = told.fields.get(name)
        number = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{3}", value) else value
        if type(number) is int and 400 <= number <= 599:
            return number
    return next((status for status, pattern in _STATUS_WORDS if pattern.search(told.code)), None)


_STATUS_WORDS = tuple(
    (status, re.compile(words, re.I))
    for status, words in (
        (402, r"payment_required|insufficient_(?:credit|balance|fund)s?|billing"),
        (429, r"insufficient_quota|rate_?limit|too_?many_?requests|resource_?exhausted|throttl"),
        (401, r"authentication|invalid_api_key|unauthenticated|unauthorized"),
        (403, r"permission_?(?:error|denied)|forbidden"),
        (404, r"not_?found"),
        (413, r"too_large"),
        (400, r"invalid_?(?:request|argument|parameter)|bad_?request|validation|content_filter|context_length"),
        (503, r"overloaded|unavailable"),
        (504, r"time_?out|deadline_exceeded"),
        (500, r"(?:server|internal|api|upstream)_?error|\binternal\b"),
    )
)


def wait_told_s(told: Told) -> float | None:
    """Seconds that the body asks to wait: a field of it, a ``RetryInfo``, or "try again in 7m12s" in its words."""
    fields = told.fields
    metadata = fields.get("metadata")
    headers = metadata.get("headers") if isinstance(metadata, dict) else None
    details = fields.get("details")
    for place in (fields, headers, *(details if isinstance(details, list) else ())):
        if not isinstance(place, dict):
            continue
        for name, value in place.items():
            known = _WAIT_NAMES.fullmatch(str(name))
            if known and (found := _duration_s(str(value), "ms" if known["ms"] else "s")) is not None:
                return found
    said = _WAIT_WORDS.search(told.message)
    return _duration_s(said["time"], "s") if said else None


def _duration_s(text: str, unit: str) -> float | None:
    """``1.5s``, ``7m12s``, ``20 seconds``, ``250ms``, or a bare number of ``unit``, in seconds."""
    if re.fullmatch(r"\d+(?:\.\d+)?", text.strip()):
        return float(text) * _UNIT_S[unit]
    parts = _DURATION.findall(text)
    if not parts:
        return None
    return sum(
        float(number) * _UNIT_S["ms" if name[:2] == "ms" or name[:3] == "mil" else name[0]] for number, name in parts
    )


_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_UNIT = r"(?:ms|milliseconds?|h(?:ours?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)"
_DURATION = re.compile(rf"(\d+(?:\.\d+)?)\s*({_UNIT})(?![a-z])", re.I)
_WAIT_NAMES = re.compile(
    r"retry[-_]?(?:after|delay|in)(?P<ms>[-_]?ms|[-_]?milliseconds)?(?:[-_]?(?:s|sec|seconds))?", re.I
)
_WAIT_WORDS = re.compile(
    rf"\b(?:again|retry|wait)\b[^.;]{{0,40}}?\b(?P<time>(?:\d+(?:\.\d+)?\s*{_UNIT}(?![a-z])\s*)+)", re.I
)


def is_lasting_quota(told: Told) -> bool:
    """Whether a 429 says that the account is used up, which waiting a minute does not mend.

    The same words ("exceeded your current quota") also come for a limit per minute: then the body says how long to wait.
    """
    if _PER_DAY.search(str(told.fields.get("details", ""))) or _USED_UP_CODE.search(told.code):
        return True
    return bool(_USED_UP.search(told.words)) and wait_told_s(told) is None and not _PER_MINUTE.search(told.words)


_USED_UP_CODE = re.compile(r"insufficient_quota|billing_hard_limit")
_USED_UP = re.compile(
    r"exceeded your current quota|credit balance|insufficient (?:balance|credit|quota)|out of credits", re.I
)
_PER_MINUTE = re.compile(r"per[ _-]?(?:minute|second|hour)|\b[rt]p[ms]\b", re.I)
_PER_DAY = re.compile(r"per[ _-]?day|daily", re.I)


def is_content_filter(told: Told) -> bool:
    """Whether a moderation or a content filter refused what this prompt says."""
    # A server may repeat the prompt after its own words, and a prompt that is judged may hold any of these.
    return bool(_CONTENT.search(told.words[:OWN_WORDS_CHARS])) or isinstance(told.fields.get("flagged_input"), str)


_CONTENT = re.compile(
    r"content[ _-]?(?:filter|policy|management|moderation|safety|exists risk|violation)|moderation|flagged|harmful|unsafe"
    r"|safety (?:system|filter|polic|setting|check|reason)|responsible_?ai|usage polic|acceptable use"
    r"|(?:inappropriate|sensitive|prohibited|illegal|disallowed)[ _](?:content|information|word|material|input|text)"
    r"|data_?inspection|guardrail|prohibited_content|content (?:is|was|has been) blocked"
    r"|(?:prompt|input|output|response|content) (?:was |is |were |has been )?blocked",
    re.I,
)


def is_context_overflow(told: Told) -> bool:
    """Whether the prompt, alone or with the completion, is longer than the model or the server takes."""
    if _CONTEXT.search(told.words):
        return True
    return bool(_TOO_LONG.search(told.message)) and not _OUTPUT.search(told.message)


def is_too_large_for_a_minute(told: Told) -> bool:
    """Whether a 429 says that this one request is larger than a whole minute's allowance: it never fits."""
    return bool(re.search(r"request too large", told.message, re.I))


_LENGTH = r"(?:len(?:gth)?|tokens?|size)"
_CONTEXT = re.compile(
    r"context[ _-]?(?:length|size|window|limit)|max(?:imum)? context"
    r"|maximum of \d[\d,]* (?:input|prompt) tokens|context the overflows|exceed_context_size"
    rf"|max(?:imum)?[ _](?:allowed )?(?:model|input|sequence|seq|prompt|session)[ _]?{_LENGTH}|\bmax_model_len|session_len"
    r"|input tokens exceed|(?:inputs?|prompt)`? tokens \+|`inputs` must have less than"
    r"|reduce the (?:length|size|number of tokens) (?:of|in) (?:the |your )?(?:message|prompt|input|request)"
    r"|default_max_tokens \(-|input length should be|model token limit|string_above_max_length|request_too_large",
    re.I,
)
_TOO_LONG = re.compile(
    r"(?:prompt|input(?! validation)s?|messages?|request|query|conversation|text|sequence length)\b[^.]{0,60}"
    r"\b(?:too (?:long|lengthy|large|big)\b(?! ago)|longer than|exceed)"
    r"|\b(?:tokens|length)\b[^.]{0,40}\b(?:larger|greater|more) than"
    r"|too many (?:input |prompt |total )?tokens|(?:input|prompt) token count\b[^.]{0,60}\bonly supports"
    r"|(?:size|token|length) limit exceeded|exceed\w* (?:the )?max(?:imum)? (?:message |request )?(?:tokens|length|size)",
    re.I,
)
_OUTPUT = re.compile(r"max_(?:completion_|output_|new_)?tokens\b|completion tokens|quota|rate limit", re.I)


def context_numbers(told: Told) -> tuple[int | None, int | None]:
    """Prompt tokens and context tokens, where the server tells them."""
    prompt, context = told.fields.get("n_prompt_tokens"), told.fields.get("n_ctx")
    return (
        prompt if isinstance(prompt, int) else number_in(_PROMPT_TOKENS, told.message),
        context if isinstance(context, int) else number_in(_CONTEXT_TOKENS, told.message),
    )


def number_in(pattern: re.Pattern[str], text: str) -> int | None:
    """The first number that one of the pattern's groups holds; None for one of more characters than any count has."""
    found = pattern.search(text)
    number = next(filter(None, found.groups()), None) if found else None
    return int(number.replace(",", "")) if number and len(number) <= MOST_NUMBER_CHARS else None


_CONTEXT_TOKENS = re.compile(
    r"(?:context[ _](?:length|size|window)|(?:model|input|sequence|prompt) length(?= [oi])|maximum input length|configured limit"
    r"|session_len|max_seq_len|token limit|only supports up to|must have less than|limit for this model)"
    r"(?:(?!exceed)\D){0,40}?(\d[\d,]*)"
    r"|> (\d[\d,]*) maximum|input length should be \[\d+, (\d+)\]|(\d[\d,]*) maximum context"
    r"|maximum of (\d[\d,]*) (?:input|prompt) tokens",
    re.I,
)
_PROMPT_TOKENS = re.compile(
    r"(\d[\d,]*) (?:tokens )?(?:in the messages|(?:in|from) the (?:input )?(?:messages|prompt)|of text input)"
    r"|(?<![\d,])(?<!maximum of )(\d[\d,]*) input tokens|(?:request|input|prompt) \((?:total )?(?:length )?(\d[\d,]*)"
    r"|resulted in (\d[\d,]*) tokens|too long: (\d[\d,]*) tokens|(?:requested tokens|prompt length|prompt_len) \((\d[\d,]*)"
    r"|(?:token count (?:is|of)|prompt contains|keep the first) (\d[\d,]*)",
    re.I,
)


def refused_parameters(told: Told) -> tuple[str, ...]:
    """The parameters that the server says it does not take, the one to leave out first in front; "n" for so many choices.

    A value out of range (a temperature of 3) is the caller's mistake and not a missing feature: none.
    """
    named = [_PARAMETERS[found.lastgroup or ""] for found in _NAMED.finditer(told.message)]
    if told.parameter == "n" or (_MANY.search(told.message) and (not told.parameter or not named)):
        return ("n",)
    if not _REFUSES.search(told.words):
        return ()
    if len(set(named)) > 1 and _NOT_BOTH.search(told.message):
        return tuple(sorted(set(named), key=_FIRST_LEFT_OUT.index))
    return (told.parameter,) if told.parameter else tuple(named[:1])


def wants_positive_temperature(told: Told) -> bool:
    """Whether the server has no temperature 0: its greedy sampling is a temperature just above."""
    return "temperature" in told.message.lower() and bool(_POSITIVE.search(told.message))


def largest_n(told: Told) -> int | None:
    """The largest n that the server says it takes."""
    return 1 if _ONE.search(told.message) else number_in(_LARGEST, told.message)


_FIRST_LEFT_OUT = ("top_logprobs", "logprobs", "seed", "top_p", "max_tokens", "temperature")
_PARAMETERS = {name: name for name in _FIRST_LEFT_OUT}
_NAMED = re.compile(
    r"(?<![\w-])(?:(?P<top_logprobs>top[ _]?logprobs)|(?P<logprobs>logprobs?|log[ -]prob(?:abilitie)?s)|(?P<top_p>top[ _-]?p)"
    r"|(?P<seed>seed)|(?P<max_tokens>max_?(?:output_?)?tokens)|(?P<temperature>temperature))(?![\w-])",
    re.I,
)
_MANY = re.compile(
    r"['\"`]n['\"`]|\bn_cmpl\b|\b(?:candidate_?count|num_return_sequences|best_of)\b"
    r"|(?<![\w.'])n\s?(?:must|should|is|>|<|=|larger|greater|parameter)|(?:parameter|value of|value for) n\b"
    r"|(?:multiple|several|more than (?:one|1)|only (?:one|1|a single)|exactly (?:one|1))\b[^.]{0,20}"
    r" (?:choice|completion|candidate|generation|sample|output)s?\b(?! tokens?)"
    r"|number of (?:choices|completions|candidates|generations|samples|outputs)",
    re.I,
)
_ONE = re.compile(r"\b(?:only|exactly) (?:one|a single)\b|\b(?:multiple|more than one)\b", re.I)
_REFUSES = re.compile(
    r"unsupported|not supported|does(?: not|n't) support|(?:is|are) ignored"
    r"|not (?:be )?(?:permitted|allowed|available|enabled|implemented|accepted|recogni[sz]ed)"
    r"|unrecognized|unknown|unexpected|extra_forbidden|extra (?:inputs|fields)|only the default|only \S+ is allowed"
    r"|may only be|cannot (?:both )?be (?:set|specified|used)|deprecated|mutually exclusive|(?:not|never) both"
    r"|only one of|(?:together|along|combined) with|at the same time",
    re.I,
)
_NOT_BOTH = re.compile(
    r"\bboth\b|mutually exclusive|only (?:use |set |specify )?one|together|at the same time|combined|\bor\b", re.I
)
_POSITIVE = re.compile(
    r"strictly positive|positive number|(?:greater|more|larger|higher) than (?:0|zero)|> ?0|above (?:0|zero)|non-?zero"
    r"|(?:not|cannot|can't) be (?:0|zero)",
    re.I,
)
_LARGEST = re.compile(
    r"(?:at most|<=|≤|less than or equal to|maximum(?: value)?(?: of| is)?|up to|(?:not|cannot) exceed|no more than"
    r"|must be(?: equal to)?|only supports? (?:n\s?=\s?)?)\s*(\d+)",
    re.I,
)
