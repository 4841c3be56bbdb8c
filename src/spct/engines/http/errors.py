"""What a failed HTTP exchange means: the one place where statuses, error bodies and exceptions become our errors.

A failure is one of three. An ``EngineError``: raise it. A ``Transient``: try again. A ``Refusal``: the server does not
take this very request, and whoever sent it decides whether to send another form of it. Text that came from a server is
cleaned (secrets out, one line, at most 300 characters) before it enters any of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import orjson

from spct.engines.http.limits import retry_after_s
from spct.errors import ContextLengthError, EngineAuthError, EngineError, EngineUnreachableError, RejectedError

LONGEST_PATIENCE_S = 600.0
MESSAGE_CHARS = 300


class UnreadableReplyError(ValueError):
    """A reply with status 200 that carries no completion; the message says what came instead."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go, as far as it may be told: ``shown`` has no credentials, ``secrets`` stay out of every text.

    ``service`` is what is asked of the server and ``key_variable`` where its key comes from, for error messages.
    """

    shown: str
    model: str
    secrets: tuple[str, ...] = field(repr=False, default=())
    service: str = "chat completions"
    key_variable: str = "OPENAI_API_KEY"

    def clean(self, text: str) -> str:
        """A server's text on one line without secrets, cut to MESSAGE_CHARS."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        text = " ".join(text.split())
        return text if len(text) <= MESSAGE_CHARS else text[:MESSAGE_CHARS] + "..."


@dataclass(frozen=True, slots=True)
class Transient:
    """A failure that the next try may not meet.

    ``what`` completes "the server ...". ``wait_s`` is what the server asks to wait. ``connected`` is False if nobody
    took the connection, ``throttled`` is True if the server had too many requests rather than a fault.
    """

    what: str
    wait_s: float | None = None
    connected: bool = True
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server does not take this request (400, 413, 422 and their like).

    ``parameter`` is the request parameter that the server does not support at all or, for "n", in this size;
    ``largest`` the largest n that it says it takes.
    """

    status: int
    message: str
    endpoint: Endpoint
    parameter: str | None = None
    largest: int | None = None

    def error(self) -> RejectedError:
        return RejectedError(f"{self.endpoint.shown} refuses the request ({self.status}): {self.message}")


Failure = EngineError | Transient | Refusal


def of_status(endpoint: Endpoint, status: int, headers: Mapping[str, str], raw: bytes, now_unix_s: float) -> Failure:
    """What a reply with a status other than 200 means."""
    told = read_error(raw)
    message = endpoint.clean(told.message) or "(empty reply)"
    if status in (401, 403):
        has = "check that the key is right for this server" if endpoint.secrets else "no key is set"
        return EngineAuthError(
            f"{endpoint.shown} refuses the key ({status}): {message}; {has}: set {endpoint.key_variable} or pass an API key"
        )
    if status == 407:
        return _refused_by_proxy(endpoint, status, message)
    if status == 402 or (status == 429 and _QUOTA.search(f"{told.code} {told.message}")):
        return EngineError(f"{endpoint.shown}: the account has no quota left ({status}): {message}")
    if status in (404, 405):
        return EngineError(
            f"{endpoint.shown} has no model {endpoint.model!r}, or no {endpoint.service} at this path ({status}): "
            f"{message}; check the model's name and the base URL (most servers want it to end in /v1)"
        )
    if 300 <= status < 400:
        target = endpoint.clean(headers.get("Location", "elsewhere")).partition("?")[0]
        return EngineError(
            f"{endpoint.shown} redirects ({status}) to {_without_login(target)}; a key is never sent on to another "
            "server, so pass that base URL instead if it is right"
        )
    if status in (408, 409, 425, 429) or (status >= 500 and status != 501):
        wait_s = retry_after_s(headers, now_unix_s)
        if wait_s is not None and wait_s > LONGEST_PATIENCE_S:
            return EngineError(f"{endpoint.shown} wants no request for {wait_s:.0f} s ({status}): {message}")
        throttled = status == 429 or (status == 503 and wait_s is not None)
        return Transient(f"answers {status}: {message}", wait_s, throttled=throttled)
    if _CONTEXT.search(f"{told.code} {told.message}"):
        prompt, context = context_numbers(told)
        return ContextLengthError(
            f"prompt and completion do not fit the model's context: {message}; shorten the item, lower --max-tokens, "
            "or serve the model with a longer context",
            prompt,
            context,
        )
    parameter = refused_parameter(told)
    largest = _number(_LARGEST, told.message) if parameter == "n" else None
    return Refusal(status, message, endpoint, parameter, largest)


def of_exception(endpoint: Endpoint, error: Exception, timeout_s: float) -> EngineError | Transient:
    """What a failure below HTTP means."""
    words = endpoint.clean(str(error)) or type(error).__name__
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return EngineUnreachableError(f"no TLS connection to {endpoint.shown}: {words}; check http:// or https://")
        case aiohttp.ClientProxyConnectionError():
            failure = _unconnected(endpoint, error.os_error)
            return replace(failure, what=f"through the proxy {error.host}:{error.port}: {failure.what}")
        case aiohttp.ClientHttpProxyError():
            return _refused_by_proxy(endpoint, error.status, error.message)
        case aiohttp.ClientConnectorDNSError():
            return Transient(f"unknown host name {error.host}", connected=False)
        case aiohttp.ClientConnectorError():
            return _unconnected(endpoint, error.os_error)
        case aiohttp.ConnectionTimeoutError():
            return _unconnected(endpoint, error)
        case TimeoutError():
            return Transient(f"gave no whole reply within {timeout_s:g} s")
        case aiohttp.ClientPayloadError():
            return Transient("broke off in the middle of its reply")
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | ConnectionError():
            return Transient("closed the connection without a reply")
        case aiohttp.ClientResponseError():
            return Transient(f"sent something that is not HTTP: {words}")
        case _:
            return Transient(f"failed: {type(error).__name__}: {words}")


def _refused_by_proxy(endpoint: Endpoint, status: int, message: str) -> EngineError:
    return EngineError(
        f"the proxy does not pass requests on to {endpoint.shown} ({status}): {endpoint.clean(message)}; name one that does "
        "in http_proxy or https_proxy (http://USER:PASSWORD@HOST:PORT), or put the server's host into no_proxy"
    )


def _unconnected(endpoint: Endpoint, reason: OSError) -> Transient:
    if isinstance(reason, TimeoutError):
        return Transient("nobody takes the connection", connected=False)
    refused = isinstance(reason, ConnectionRefusedError) or "refused" in str(reason).lower()
    what = "connection refused" if refused else endpoint.clean(reason.strerror or str(reason))
    return Transient(what or "connection closed at once", connected=False)


@dataclass(frozen=True, slots=True)
class Told:
    """An error body, whichever of the usual shapes it had: text, codes, and the parameter it is about."""

    message: str
    code: str = ""
    parameter: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


def read_error(raw: bytes) -> Told:
    """Read OpenAI's ``{"error": {...}}``, FastAPI's ``{"detail": ...}``, a flat object, or plain text."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return Told(raw[:4096].decode(errors="replace"))
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict) and isinstance(detail := body.get("detail"), list) and detail:
        return _read_validation(detail)
    if isinstance(body, dict):
        body = body.get("error") or body.get("detail") or body
    if not isinstance(body, dict):
        return Told(str(body))
    message = body.get("message") or body.get("msg") or orjson.dumps(body).decode()
    parameter = body.get("param")
    return Told(
        str(message), f"{body.get('code')} {body.get('type')}", parameter if isinstance(parameter, str) else None, body
    )


def _read_validation(detail: list[Any]) -> Told:
    """FastAPI's list of ``{"loc": ["body", NAME], "msg", "type"}``: the first is told."""
    first = detail[0] if isinstance(detail[0], dict) else {"msg": str(detail[0])}
    place = first.get("loc") or ()
    parameter = next((part for part in reversed(place) if isinstance(part, str) and part != "body"), None)
    return Told(
        f"{parameter}: {first.get('msg')}" if parameter else str(first.get("msg")), str(first.get("type")), parameter
    )


def refused_parameter(told: Told) -> str | None:
    """The parameter that the server says it does not take, or "n" if it does not take that many.

    A value out of range (a temperature of 3) is the caller's mistake and not a missing feature: None.
    """
    named = _NAMED.search(told.message)
    name = told.parameter or (named and (named["name"] or "n"))
    if name == "n" or (name and _REFUSES.search(f"{told.code} {told.message}")):
        return name
    return None


def context_numbers(told: Told) -> tuple[int | None, int | None]:
    """Prompt tokens and context tokens, where the server tells them."""
    prompt, context = told.fields.get("n_prompt_tokens"), told.fields.get("n_ctx")
    return (
        prompt if isinstance(prompt, int) else _number(_PROMPT_TOKENS, told.message),
        context if isinstance(context, int) else _number(_CONTEXT_TOKENS, told.message),
    )


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    return next((int(group.replace(",", "")) for group in found.groups() if group), None) if found else None


def _without_login(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)


_QUOTA = re.compile(r"insufficient_quota|exceeded your current quota|billing_hard_limit|credit balance", re.I)

_CONTEXT = re.compile(
    r"context[ _](?:length|size|window)|exceed_context_size|max_model_len"
    r"|maximum (?:model|input|sequence|prompt) length|input tokens exceed"
    r"|(?:prompt|input|messages?|request)\b[^.]{0,60}\btoo long|too many (?:input )?tokens",
    re.I,
)
_CONTEXT_TOKENS = re.compile(
    r"(?:context (?:length|size|window)|(?:model|input|sequence|prompt) length(?= [oi])|configured limit)"
    r"\D{0,40}?(\d[\d,]*)"
    r"|> (\d[\d,]*) maximum",
    re.I,
)
_PROMPT_TOKENS = re.compile(
    r"(\d[\d,]*) (?:tokens )?(?:in the messages|(?:in|from) the (?:input )?(?:messages|prompt))"
    r"|(\d[\d,]*) input tokens|(?:request|input|prompt) \((?:total )?(?:length )?(\d[\d,]*)"
    r"|resulted in (\d[\d,]*) tokens|too long: (\d[\d,]*) tokens",
    re.I,
)

_NAMED = re.compile(
    r"(?<![\w-])(?P<name>max_tokens|temperature|top_p|seed|top_logprobs|logprobs)(?![\w-])"
    r"|['\"`]n['\"`]|\bn_cmpl\b|\bcandidate_?count\b|\bn (?:must|should|is|>|=|<|larger|greater)"
    r"|multiple (?:choices|completions|candidates)",
    re.I,
)
_REFUSES = re.compile(
    r"unsupported|not supported|does(?: not|n't) support"
    r"|not (?:be )?(?:permitted|allowed|available|enabled|implemented)"
    r"|unrecognized|unknown|unexpected|extra_forbidden|extra (?:inputs|fields)|only the default|only \S+ is allowed"
    r"|may only be|cannot (?:both )?be (?:set|specified|used)|deprecated",
    re.I,
)
_LARGEST = re.compile(
    r"(?:at most|<=|≤|less than or equal to|maximum(?: value)?(?: of| is)?|up to|(?:not|cannot) exceed|no more than"
    r"|must be(?: equal to)?)\s*(\d+)",
    re.I,
)
