"""What a failed HTTP exchange means: the one place where statuses, error bodies and exceptions become our errors.

A failure is one of three. An ``EngineError``: raise it. A ``Transient``: try again. A ``Refusal``: the server does not
take this very request, and whoever sent it decides whether to send another form of it. Text that came from a server is
cleaned (secrets out, one line, at most 300 characters) before it enters any of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import aiohttp

from spct.engines.http import told as http_told
from spct.engines.http.limits import retry_after_s
from spct.engines.http.told import Told, read_error
from spct.errors import (
    ContentFilterError,
    ContextLengthError,
    EngineAuthError,
    EngineError,
    EngineUnreachableError,
    RejectedError,
)

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
    took the connection, ``throttled`` is True if the server had too many requests rather than a fault. ``answered``: it
    sent a reply, if one that is no completion.
    """

    what: str
    wait_s: float | None = None
    connected: bool = True
    throttled: bool = False
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server does not take this request (400, 413, 422 and their like).

    ``parameters`` are those that the server does not support at all, the one to leave out first in front, or "n" if it
    does not take this many; ``largest`` is the largest n that it says it takes. ``positive``: it wants a temperature above
    0. ``content``: a filter refuses what the prompt says. ``forbidden``: a 403 that does not say why, and nothing has been
    answered under this key so far: the key may be wrong, or a firewall dislikes this prompt.
    """

    status: int
    message: str
    endpoint: Endpoint
    parameters: tuple[str, ...] = ()
    largest: int | None = None
    positive: bool = False
    content: bool = False
    forbidden: bool = False

    def error(self) -> EngineError:
        if self.forbidden:
            return refused_key(self.endpoint, self.status, self.message)
        kind = ContentFilterError if self.content else RejectedError
        return kind(f"{self.endpoint.shown} refuses the request ({self.status}): {self.message}")


Failure = EngineError | Transient | Refusal


def refused_key(endpoint: Endpoint, status: int, message: str) -> EngineAuthError:
    has = "check that the key is right for this server" if endpoint.secrets else "no key is set"
    return EngineAuthError(
        f"{endpoint.shown} refuses the key ({status}): {message}; {has}: set {endpoint.key_variable} or pass an API key"
    )


def of_status(endpoint: Endpoint, status: int, headers: Mapping[str, str], raw: bytes, now_unix_s: float) -> Failure:
    """What a reply with a status other than 200 or 201 means."""
    told = read_error(raw)
    message = endpoint.clean(told.message) or "(empty reply)"
    if 200 <= status < 300:
        return Transient(f"answers {status}, which carries no completion: {message}", answered=True)
    if status == 401:
        return refused_key(endpoint, status, message)
    if 400 <= status < 500 and status != 429 and http_told.is_content_filter(told):
        return Refusal(status, message, endpoint, content=True)
    if status == 403:
        return Refusal(status, message, endpoint, forbidden=True)
    if status == 407:
        return _refused_by_proxy(endpoint, status, message)
    if status == 402 or (status == 429 and http_told.is_lasting_quota(told)):
        return EngineError(f"{endpoint.shown}: the account has no quota left ({status}): {message}")
    if status in (404, 405):
        return EngineError(
            f"{endpoint.shown} has no model {endpoint.model!r}, or no {endpoint.service} at this path ({status}): "
            f"{message}; check the model's name and the base URL (most servers want it to end in /v1)"
        )
    if 300 <= status < 400:
        target = endpoint.clean(without_secrets(headers.get("Location", "elsewhere")))
        return EngineError(
            f"{endpoint.shown} redirects ({status}) to {target}; a key is never sent on to another "
            "server, so pass that base URL instead if it is right"
        )
    too_long = http_told.is_too_large_for_a_minute if status == 429 else http_told.is_context_overflow
    if status == 413 or too_long(told):  # before the faults of a server: some tell it as a 500
        prompt, context = http_told.context_numbers(told)
        return ContextLengthError(
            f"prompt and completion do not fit the model's context: {message}; shorten the item, lower --max-tokens, "
            "or serve the model with a longer context",
            prompt,
            context,
        )
    if status in (408, 409, 425, 429) or (status >= 500 and status != 501):
        wait_s = retry_after_s(headers, now_unix_s)
        wait_s = http_told.wait_told_s(told) if wait_s is None else wait_s
        if wait_s is not None and wait_s > LONGEST_PATIENCE_S:
            return EngineError(f"{endpoint.shown} wants no request for {wait_s:.0f} s ({status}): {message}")
        throttled = status == 429 or (status == 503 and wait_s is not None)
        return Transient(f"answers {status}: {message}", wait_s, throttled=throttled, answered=True)
    return _refusal(endpoint, status, message, told)


def of_error_within(endpoint: Endpoint, headers: Mapping[str, str], raw: bytes, now_unix_s: float) -> Failure | None:
    """What a reply of status 200 means that is an error by its body; None where it says nothing of the kind."""
    status = http_told.status_within(read_error(raw))
    return None if status is None else of_status(endpoint, status, headers, raw, now_unix_s)


def _refusal(endpoint: Endpoint, status: int, message: str, told: Told) -> Refusal:
    parameters = http_told.refused_parameters(told)
    return Refusal(
        status,
        message,
        endpoint,
        parameters,
        largest=http_told.largest_n(told) if parameters == ("n",) else None,
        positive=http_told.wants_positive_temperature(told),
    )


def of_exception(endpoint: Endpoint, error: Exception, timeout_s: float) -> EngineError | Transient:
    """What a failure below HTTP means."""
    words = endpoint.clean(str(error)) or type(error).__name__
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return _no_tls(endpoint, words)
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


def _no_tls(endpoint: Endpoint, words: str) -> EngineUnreachableError:
    hint = "check http:// or https://"
    if "certificate" in words.lower():
        hint = (
            "for a certificate of your own authority set SSL_CERT_FILE to its PEM file; a host name or date that does not "
            "fit has to be mended in the certificate"
        )
    return EngineUnreachableError(f"no TLS connection to {endpoint.shown}: {words}; {hint}")


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


def without_secrets(url: str) -> str:
    """An address without login and query."""
    return re.sub(r"(?<=//)[^/]*@|[?#].*", "", url)
